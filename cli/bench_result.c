#include "cli/bench_result.h"

#include <time.h>

double bench_result_us(const struct bench_result *result, double percent)
{
    return (double)histogram_percentile(result->latency_ns, percent) / 1e3;
}

uint64_t bench_result_lost(const struct bench_result *result)
{
    uint64_t ended = result->check->received + result->check->corrupt + result->failed;

    return ended < result->tasks ? result->tasks - ended : 0;
}

bool bench_result_good(const struct bench_result *result)
{
    return result->check->received == result->tasks && result->check->duplicated == 0 &&
           result->check->corrupt == 0 && result->failed == 0;
}

double bench_result_per_s(const struct bench_result *result)
{
    return result->wall_s > 0 ? (double)result->check->received / result->wall_s : 0;
}

static void print_cpu(FILE *stream, bool json, const char *name, double cpu_s, double count)
{
    if (cpu_s < 0 || count <= 0) {
        fprintf(stream, json ? "\"%s\": null" : "  %s unknown", name);
    } else {
        fprintf(stream, json ? "\"%s\": %.3f" : "  %s %.2f s", name, cpu_s / count * 1e6);
    }
}

void bench_cpu_print(const struct bench_result *result, double count, FILE *stream, bool json)
{
    const char *comma = json ? ", " : "";

    fputs(json ? "\"cpu_s_per_million\": {" : "", stream);
    print_cpu(stream, json, "broker", result->broker_cpu_s, count);
    fputs(comma, stream);
    print_cpu(stream, json, "workers", result->workers_cpu_s, count);
    fputs(comma, stream);
    print_cpu(stream, json, "submitter", result->submitter_cpu_s, count);
    fputs(json ? "}" : "", stream);
}

static unsigned long long clients_count(const struct bench_result *result)
{
    return result->clients > 0 ? result->clients : 1;
}

static void print_json_open(const struct bench_result *result, FILE *stream)
{
    if (result->rate > 0) {
        fprintf(stream, "\"rate\": %llu, \"late\": %llu, \"p90_us\": %.1f, ",
                (unsigned long long)result->rate, (unsigned long long)result->late,
                bench_result_us(result, 90));
    }
}

static void print_json(const struct bench_result *result, FILE *stream)
{
    fprintf(stream, "{\"bench\": \"%s\", \"transport\": \"%s\", ", result->bench,
            result->transport);
    fprintf(stream, "\"payload\": %llu, \"window\": %llu, \"workers\": %llu, \"clients\": %llu, "
                    "\"tasks\": %llu, ",
            (unsigned long long)result->payload_bytes, (unsigned long long)result->window,
            (unsigned long long)result->workers, clients_count(result),
            (unsigned long long)result->tasks);
    fprintf(stream, "\"wall_s\": %.4f, \"tasks_per_s\": %.0f, ", result->wall_s,
            bench_result_per_s(result));
    print_json_open(result, stream);
    fprintf(stream, "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, ",
            bench_result_us(result, 50), bench_result_us(result, 99),
            bench_result_us(result, 99.9), bench_result_us(result, 100));
    fprintf(stream, "\"lost\": %llu, \"duplicated\": %llu, \"corrupt\": %llu, \"failed\": %llu, ",
            (unsigned long long)bench_result_lost(result),
            (unsigned long long)result->check->duplicated,
            (unsigned long long)result->check->corrupt, (unsigned long long)result->failed);
    bench_cpu_print(result, (double)result->check->received, stream, true);
    fprintf(stream, "}\n");
}

static void print_text(const struct bench_result *result, FILE *stream)
{
    fprintf(stream, "%s over %s: %llu tasks of %llu B, window %llu, %llu workers, %llu clients\n",
            result->bench, result->transport, (unsigned long long)result->tasks,
            (unsigned long long)result->payload_bytes, (unsigned long long)result->window,
            (unsigned long long)result->workers, clients_count(result));
    fprintf(stream, "  throughput   %.0f tasks/s (%.3f s)\n", bench_result_per_s(result),
            result->wall_s);
    if (result->rate > 0) {
        fprintf(stream, "  open loop    %llu tasks/s, %llu sent late\n",
                (unsigned long long)result->rate, (unsigned long long)result->late);
    }
    fprintf(stream, "  latency      p50 %.0f us  p99 %.0f us  p99.9 %.0f us  max %.0f us\n",
            bench_result_us(result, 50), bench_result_us(result, 99), bench_result_us(result, 99.9),
            bench_result_us(result, 100));
    fprintf(stream, "  replies      %llu lost, %llu duplicated, %llu corrupt, %llu failed\n",
            (unsigned long long)bench_result_lost(result),
            (unsigned long long)result->check->duplicated,
            (unsigned long long)result->check->corrupt, (unsigned long long)result->failed);
    fprintf(stream, "  cpu/million");
    bench_cpu_print(result, (double)result->check->received, stream, false);
    fprintf(stream, "\n");
}

void bench_result_print(const struct bench_result *result, FILE *stream, bool json)
{
    if (json) {
        print_json(result, stream);
    } else {
        print_text(result, stream);
    }
}

uint64_t bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

double bench_cpu_s(pid_t pid)
{
    struct timespec used;
    clockid_t clock;

    /* The process's own CPU clock: exact to the nanosecond, where /proc/PID/stat
     * counts ticks of 10 ms. */
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) {
        return CPU_UNKNOWN;
    }
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}
