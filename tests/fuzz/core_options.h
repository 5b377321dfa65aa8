/* core_options: what the fuzzer's bytes make of a broker's limits. */
#ifndef SLUICE_TESTS_FUZZ_CORE_OPTIONS_H
#define SLUICE_TESTS_FUZZ_CORE_OPTIONS_H

#include "tests/fuzz/input.h"

#include "broker/core/broker.h"
#include "proto/limits.h"

/* Limits so small that every one of them is met, and each in its turn wide. */
static inline struct broker_options take_options(struct input *input)
{
    struct broker_options options = broker_options_default();
    unsigned tight = take_byte(input), timers = take_byte(input);

    options.broker = (struct id){{0xb0, 1}};
    options.hash_seed = take_byte(input);
    options.peers_max = tight & 1 ? 2 : 16;
    options.services_max = tight & 2 ? 2 : 16;
    options.offers_per_peer_max = tight & 4 ? 1 : 8;
    options.tasks_max = tight & 8 ? 6 : 64;
    options.memory_max = tight & 16 ? 4096 : 1 << 20;
    options.window_tasks = tight & 32 ? 3 : 100;
    options.window_bytes = tight & 32 ? 600 : 1 << 20;
    options.service.max_tasks = tight & 64 ? 2 : 100;
    options.service.max_bytes = tight & 64 ? 500 : 1 << 20;
    options.retain_tasks = tight & 128 ? 2 : 100;
    options.retain_bytes = tight & 128 ? 300 : 1 << 20;
    options.payload_max = timers & 1 ? 256 : PAYLOAD_BYTES_MAX;
    options.service.lease_ms = timers & 2 ? 50 : 0;
    options.service.attempts = timers & 4 ? 1 : 3;
    options.resume_ms = timers & 8 ? 0 : 1000;
    options.cancel_grace_ms = timers & 16 ? 0 : 100;
    options.retain_ms = timers & 32 ? 0 : 500;
    options.detached_retain_ms = timers & 32 ? 0 : 2000;
    options.service_linger_ms = timers & 64 ? 0 : 300;
    options.backoff_ms = 10;
    options.backoff_max_ms = timers & 128 ? 10 : 1000;
    options.ping_ms = 100;
    options.silence_ms = 500;
    options.hold_ms = 200;
    options.probe_ms = 50;
    return options;
}

#endif
