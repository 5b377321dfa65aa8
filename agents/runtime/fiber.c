#include "agents/runtime/fiber.h"

#include "common/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define FIBER_ASAN 1
#else
#define FIBER_ASAN 0
#endif

/* Unused stacks that stay mapped when there is time to unmap the others. */
#define SPARE_KEPT 1024

struct fiber {
    struct fiber_pool *pool;
    struct fiber *next; /* spare ones */
    ucontext_t context;
    ucontext_t *resumer;
    uint8_t *map; /* guard page, then the stack */
    fiber_fn *fn;
    void *arg;
    bool ended;
    void *fake_stack; /* the sanitizer's, while suspended */
    const void *resumer_stack;
    size_t resumer_stack_bytes;
};

struct fiber_pool {
    size_t stack_bytes;
    size_t page_bytes;
    struct fiber *spare;
    size_t spare_count;
    size_t live_count;
};

static _Thread_local struct fiber *current;

struct fiber_pool *fiber_pool_new(size_t stack_bytes)
{
    struct fiber_pool *pool = calloc(1, sizeof *pool);

    if (pool == NULL) {
        return NULL;
    }
    pool->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    pool->stack_bytes = (stack_bytes + pool->page_bytes - 1) & ~(pool->page_bytes - 1);
    return pool;
}

static void fiber_unmap(struct fiber *fiber)
{
    munmap(fiber->map, fiber->pool->stack_bytes + fiber->pool->page_bytes);
    free(fiber);
}

void fiber_pool_free(struct fiber_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    CHECK(pool->live_count == 0);
    while (pool->spare != NULL) {
        struct fiber *fiber = pool->spare;

        pool->spare = fiber->next;
        fiber_unmap(fiber);
    }
    free(pool);
}

static struct fiber *fiber_map(struct fiber_pool *pool)
{
    struct fiber *fiber = calloc(1, sizeof *fiber);
    void *map;

    if (fiber == NULL) {
        return NULL;
    }
    map = mmap(NULL, pool->stack_bytes + pool->page_bytes, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (map == MAP_FAILED) {
        free(fiber);
        return NULL;
    }
    /* A handler that recurses too deep faults instead of writing into a neighbour. */
    if (mprotect(map, pool->page_bytes, PROT_NONE) != 0) {
        munmap(map, pool->stack_bytes + pool->page_bytes);
        free(fiber);
        return NULL;
    }
    fiber->pool = pool;
    fiber->map = map;
    return fiber;
}

static void *stack_of(const struct fiber *fiber)
{
    return fiber->map + fiber->pool->page_bytes;
}

static void recycle(struct fiber *fiber)
{
    struct fiber_pool *pool = fiber->pool;

    pool->live_count--;
#if FIBER_ASAN
    __asan_unpoison_memory_region(stack_of(fiber), pool->stack_bytes);
#endif
    fiber->next = pool->spare;
    pool->spare = fiber;
    pool->spare_count++;
}

bool fiber_pool_trim(struct fiber_pool *pool, size_t max)
{
    while (max-- > 0 && pool->spare_count > SPARE_KEPT) {
        struct fiber *fiber = pool->spare;

        pool->spare = fiber->next;
        pool->spare_count--;
        fiber_unmap(fiber);
    }
    return pool->spare_count > SPARE_KEPT;
}

static void switch_begin(void **fake_stack, const void *stack, size_t stack_bytes)
{
#if FIBER_ASAN
    __sanitizer_start_switch_fiber(fake_stack, stack, stack_bytes);
#else
    (void)fake_stack;
    (void)stack;
    (void)stack_bytes;
#endif
}

static void switch_end(void *fake_stack, const void **stack, size_t *stack_bytes)
{
#if FIBER_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, stack, stack_bytes);
#else
    (void)fake_stack;
    (void)stack;
    (void)stack_bytes;
#endif
}

/* makecontext passes ints, so the fiber comes through `current`. */
static void enter(void)
{
    struct fiber *fiber = current;

    switch_end(NULL, &fiber->resumer_stack, &fiber->resumer_stack_bytes);
    fiber->fn(fiber->arg);
    fiber->ended = true;
    switch_begin(NULL, fiber->resumer_stack, fiber->resumer_stack_bytes);
    setcontext(fiber->resumer);
    CHECK(false);
}

/* Apart from its caller: getcontext is one of those that may return twice. */
static void set_up(struct fiber *fiber)
{
    CHECK(getcontext(&fiber->context) == 0);
    fiber->context.uc_stack.ss_sp = stack_of(fiber);
    fiber->context.uc_stack.ss_size = fiber->pool->stack_bytes;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, enter, 0);
}

struct fiber *fiber_new(struct fiber_pool *pool, fiber_fn *fn, void *arg)
{
    struct fiber *fiber = pool->spare;

    if (fiber != NULL) {
        pool->spare = fiber->next;
        pool->spare_count--;
    } else {
        fiber = fiber_map(pool);
        if (fiber == NULL) {
            return NULL;
        }
    }
    pool->live_count++;
    fiber->fn = fn;
    fiber->arg = arg;
    fiber->ended = false;
    fiber->fake_stack = NULL;
    set_up(fiber);
    return fiber;
}

bool fiber_resume(struct fiber *fiber)
{
    ucontext_t here;
    void *fake_stack = NULL;

    CHECK(current == NULL);
    CHECK(!fiber->ended);
    current = fiber;
    fiber->resumer = &here;
    switch_begin(&fake_stack, stack_of(fiber), fiber->pool->stack_bytes);
    CHECK(swapcontext(&here, &fiber->context) == 0);
    switch_end(fake_stack, NULL, NULL);
    current = NULL;
    if (fiber->ended) {
        recycle(fiber);
        return false;
    }
    return true;
}

void fiber_suspend(void)
{
    struct fiber *fiber = current;

    CHECK(fiber != NULL);
    switch_begin(&fiber->fake_stack, fiber->resumer_stack, fiber->resumer_stack_bytes);
    CHECK(swapcontext(&fiber->context, fiber->resumer) == 0);
    switch_end(fiber->fake_stack, &fiber->resumer_stack, &fiber->resumer_stack_bytes);
}

struct fiber *fiber_current(void)
{
    return current;
}

void fiber_drop(struct fiber *fiber)
{
    CHECK(fiber != current);
    recycle(fiber);
}
