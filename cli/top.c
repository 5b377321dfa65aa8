/* sluice top: services, limits, peers and rates, again and again. */
#include "cli/limit.h"
#include "cli/listing.h"
#include "cli/quantity.h"
#include "cli/record.h"
#include "cli/terminal.h"
#include "cli/visit.h"

#include <string.h>
#include <termios.h>
#include <unistd.h>

#define SLICE_MS 50 /* how soon a key or a signal is noticed */

struct view {
    struct cli *cli;
    uint64_t interval_ms;
    bool live;        /* a terminal, until somebody leaves */
    json_t *before;   /* the stats of the last picture, for rates; NULL: the first */
    uint64_t before_ms;
};

static struct keyboard {
    bool quit, raw;
    struct termios saved;
    uv_poll_t input;
    uv_signal_t signals[2];
} keyboard;

static void on_input(uv_poll_t *handle, int status, int events)
{
    char keys[16];
    ssize_t count = read(STDIN_FILENO, keys, sizeof(keys));

    if (count <= 0 || memchr(keys, 'q', (size_t)count) != NULL) {
        keyboard.quit = true;
        uv_poll_stop(handle);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    keyboard.quit = true;
}

/* Keys come one by one, and the screen is a second one that leaves no trace. */
static void keyboard_open(struct sluice *sluice)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &keyboard.saved) == 0) {
        raw = keyboard.saved;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        keyboard.raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
        uv_poll_init(sluice_loop(sluice), &keyboard.input, STDIN_FILENO);
        uv_poll_start(&keyboard.input, UV_READABLE, on_input);
        uv_unref((uv_handle_t *)&keyboard.input);
    }
    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(sluice_loop(sluice), &keyboard.signals[i]);
        uv_signal_start(&keyboard.signals[i], on_signal, numbers[i]);
        uv_unref((uv_handle_t *)&keyboard.signals[i]);
    }
    fputs("\033[?1049h", stdout);
}

static void keyboard_close(void)
{
    fputs("\033[?1049l", stdout);
    fflush(stdout);
    if (keyboard.raw) {
        tcsetattr(STDIN_FILENO, TCSANOW, &keyboard.saved);
        uv_close((uv_handle_t *)&keyboard.input, NULL);
    }
    for (size_t i = 0; i < 2; i++) {
        uv_close((uv_handle_t *)&keyboard.signals[i], NULL);
    }
}

/* "done 1,234 (56/s)"; without a picture before it, without the rate. */
static void print_rate(const struct view *view, const json_t *stats, const char *name,
                       uint64_t passed_ms)
{
    char count[QUANTITY_SIZE], rate[QUANTITY_SIZE];
    uint64_t now = record_uint(stats, name), before = record_uint(view->before, name);

    printf("  %s %s", name, quantity_count(now, count));
    if (view->before != NULL && passed_ms > 0 && now >= before) {
        printf(" (%s/s)", quantity_count((now - before) * 1000 / passed_ms, rate));
    }
}

static void print_head(const struct view *view, const json_t *stats, uint64_t passed_ms)
{
    static const char *const levels[] = {"peers", "services", "queued", "leased"};
    static const char *const rates[] = {"submitted", "done",      "failed",
                                        "refused",   "cancelled", "expired"};
    char text[RECORD_VALUE_SIZE];

    printf("%s  up %s%s", view->cli->broker, record_value(stats, "uptime_ms", text),
           json_is_true(json_object_get(stats, "draining")) ? "  DRAINING" : "");
    printf("  memory %s", record_value(stats, "memory_bytes", text));
    printf(" of %s\n", record_value(stats, "memory_max_bytes", text));
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        printf("  %s %s", levels[i], record_value(stats, levels[i], text));
    }
    printf("\n");
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        print_rate(view, stats, rates[i], passed_ms);
    }
    printf("\n\n");
}

/* Each a table of the broker's. */
struct picture {
    json_t *stats, *services, *limits, *peers;
};

static void print_picture(struct view *view, const struct picture *picture, uint64_t now_ms)
{
    size_t rows = view->live ? terminal_rows(stdout) : SIZE_MAX;
    bool limited = json_array_size(picture->limits) > 0;
    size_t tables = limited ? 3 : 2;
    size_t left = rows == SIZE_MAX ? SIZE_MAX
                  : rows > 24      ? (rows - 5 - 2 * tables) / tables
                                   : 3;

    if (view->live) {
        fputs("\033[H\033[J", stdout);
    }
    print_head(view, picture->stats, now_ms - view->before_ms);
    listing_services(picture->services, stdout, left, false);
    printf("\n");
    if (limited) {
        limits_print(picture->limits, left);
        printf("\n");
    }
    listing_peers(picture->peers, stdout, left);
    if (view->live) {
        fputs("q leaves", stdout);
    }
    fflush(stdout);
}

static void print_json(const struct picture *picture)
{
    json_t *all = json_pack("{s:O,s:O,s:O,s:O}", "stats", picture->stats, "services",
                            picture->services, "limits", picture->limits, "peers",
                            picture->peers);

    record_dump(all, stdout, terminal_is(stdout));
    json_decref(all);
}

static int view_refresh(struct view *view, struct sluice *sluice)
{
    struct picture picture = {0};
    uint64_t now_ms = sluice_now_ms(sluice);
    int code = visit_query(sluice, "stats", NULL, NULL, &picture.stats);

    if (code == EXIT_DONE) {
        code = visit_pages(sluice, "catalog", "services", &picture.services);
    }
    if (code == EXIT_DONE) {
        code = visit_pages(sluice, "limits", "limits", &picture.limits);
    }
    if (code == EXIT_DONE) {
        code = visit_pages(sluice, "peers", "peers", &picture.peers);
    }
    if (code == EXIT_DONE && view->cli->json) {
        print_json(&picture);
    } else if (code == EXIT_DONE) {
        print_picture(view, &picture, now_ms);
    }
    json_decref(picture.services);
    json_decref(picture.limits);
    json_decref(picture.peers);
    json_decref(view->before);
    view->before = picture.stats;
    view->before_ms = now_ms;
    return code;
}

static void view_wait(const struct view *view, struct sluice *sluice)
{
    uint64_t until_ms = sluice_now_ms(sluice) + view->interval_ms;

    while (!keyboard.quit && sluice_now_ms(sluice) < until_ms) {
        if (sluice_sleep_ms(sluice, SLICE_MS) != 0) {
            keyboard.quit = true;
        }
    }
}

static int top_main(struct sluice *sluice, void *arg)
{
    struct view *view = arg;
    int code;

    if (view->live) {
        keyboard_open(sluice);
    }
    do {
        code = view_refresh(view, sluice);
        if (code == EXIT_DONE && view->live) {
            view_wait(view, sluice);
        }
    } while (code == EXIT_DONE && view->live && !keyboard.quit);
    if (view->live) {
        keyboard_close();
    }
    if (code != EXIT_DONE && view->live) {
        fprintf(stderr, "sluice: the broker at %s no longer answers\n", view->cli->broker);
    }
    json_decref(view->before);
    return code;
}

static int top_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct view view = {.cli = cli, .interval_ms = 1000};
    bool once = false;
    struct option_spec specs[] = {
        OPTION_UINT_SPEC("interval-ms", &view.interval_ms, "MS", 100, 3600000,
                         "time between two pictures (1000)"),
        OPTION_FLAG_SPEC("once", &once, "print one picture and leave"),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    view.live = !once && !cli->json && terminal_is(stdout) && terminal_is(stdin);
    return visit(cli, self, top_main, &view);
}

const struct command command_top = {
    .name = "top",
    .arguments = "",
    .summary = "services, limits, peers and rates, live",
    .about = "q leaves. Without a terminal, and with --once or --json: one picture.\n",
    .run = top_run,
};
