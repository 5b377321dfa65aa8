/* Numbered sessions: each message once, in order, whatever is lost on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/session.h"

#include <stdlib.h>

/* A letter that remembers what it says. */
struct note {
    struct session_letter letter;
    struct sequence head;
    uint64_t text;
};

static struct note *note_of(struct session_letter *letter)
{
    return (struct note *)((char *)letter - offsetof(struct note, letter));
}

static struct note *send_note(struct session *session, uint64_t text, size_t bytes)
{
    struct note *note = calloc(1, sizeof *note);

    assert_non_null(note);
    note->head = session_next(session);
    note->text = text;
    session_keep(session, &note->letter, bytes);
    session_check(session);
    return note;
}

static size_t release_all(struct session *session)
{
    struct session_letter *letter;
    size_t count = 0;

    while ((letter = session_release(session)) != NULL) {
        free(note_of(letter));
        count++;
    }
    session_check(session);
    return count;
}

static void drop_all(struct session *session)
{
    struct session_letter *letter;

    while ((letter = session_drop(session)) != NULL) {
        free(note_of(letter));
    }
    session_check(session);
}

/* Both sides of a session that has just begun. */
static void begin(struct session *ours, struct session *theirs)
{
    session_init(ours);
    session_init(theirs);
    session_join(theirs, session_start(ours, theirs->received, 0));
    assert_int_equal(theirs->sent, ours->received);
    assert_int_equal(ours->sent, theirs->received);
}

static void a_message_is_taken_once_and_released_when_acknowledged(void **state)
{
    struct session ours, theirs;
    struct sequence head;

    begin(&ours, &theirs);
    head = send_note(&ours, 1, 10)->head;
    assert_int_equal(session_receive(&theirs, &head, 1), SESSION_NEXT);
    assert_int_equal(session_receive(&theirs, &head, 1), SESSION_REPEATED);
    assert_int_equal(release_all(&ours), 0);
    head = send_note(&theirs, 2, 10)->head;
    assert_int_equal(session_receive(&ours, &head, 1), SESSION_NEXT);
    assert_int_equal(release_all(&ours), 1);
    assert_int_equal(ours.kept_bytes, 0);
    drop_all(&theirs);
}

static void a_gap_and_a_false_acknowledgement_change_nothing(void **state)
{
    struct session ours, theirs, before;
    struct sequence head;

    begin(&ours, &theirs);
    before = ours;
    head = session_next(&theirs);
    head.number++;
    assert_int_equal(session_receive(&ours, &head, 1), SESSION_GAP);
    head.number--;
    head.acknowledged++;
    assert_int_equal(session_receive(&ours, &head, 1), SESSION_GAP);
    assert_int_equal(ours.received, before.received);
    assert_int_equal(ours.acknowledged, before.acknowledged);
    assert_false(ours.confirmed);
}

static void silence_is_acknowledged_after_some_messages(void **state)
{
    struct session ours, theirs;
    struct sequence head;

    begin(&ours, &theirs);
    assert_true(session_owes(&theirs)); /* that it has joined */
    assert_false(session_owes(&ours));
    session_bare(&theirs);
    for (int i = 0; i < SESSION_UNTOLD_MAX; i++) {
        assert_false(session_owes(&theirs));
        head = send_note(&ours, 1, 1)->head;
        assert_int_equal(session_receive(&theirs, &head, 1), SESSION_NEXT);
    }
    assert_true(session_owes(&theirs));
    head = session_bare(&theirs);
    assert_false(session_owes(&theirs));
    assert_int_equal(session_receive(&ours, &head, 1), SESSION_BARE);
    assert_int_equal(release_all(&ours), SESSION_UNTOLD_MAX);
}

/* Or the other side comes to its bound, and we have no reason to say anything. */
static void silence_is_acknowledged_after_many_bytes(void **state)
{
    const size_t bytes = SESSION_BYTES_MAX / 32;
    struct session ours, theirs;
    struct sequence head;
    int sent = 0;

    begin(&ours, &theirs);
    session_bare(&theirs);
    while (session_takes(&ours, bytes) && !session_owes(&theirs)) {
        head = send_note(&ours, 1, bytes)->head;
        assert_int_equal(session_receive(&theirs, &head, bytes), SESSION_NEXT);
        sent++;
    }
    assert_true(session_takes(&ours, bytes));
    assert_int_equal(sent, 4);
    head = session_bare(&theirs);
    assert_false(session_owes(&theirs));
    assert_int_equal(session_receive(&ours, &head, 1), SESSION_BARE);
    assert_int_equal(release_all(&ours), sent);
    head = send_note(&ours, 1, bytes)->head;
    assert_int_equal(session_receive(&theirs, &head, bytes), SESSION_NEXT);
    assert_false(session_owes(&theirs));
    head = session_bare(&theirs);
    assert_int_equal(session_receive(&ours, &head, 1), SESSION_BARE);
    assert_int_equal(release_all(&ours), 1);
}

static void what_is_kept_is_bounded_by_count_and_bytes(void **state)
{
    struct session ours, theirs;

    begin(&ours, &theirs);
    for (int i = 0; i < SESSION_MESSAGES_MAX; i++) {
        assert_true(session_takes(&ours, 1));
        send_note(&ours, 1, 1);
    }
    assert_false(session_takes(&ours, 1));
    drop_all(&ours);
    assert_true(session_takes(&ours, 2 * (size_t)SESSION_BYTES_MAX)); /* one always */
    send_note(&ours, 1, SESSION_BYTES_MAX - 5);
    assert_true(session_takes(&ours, 5));
    assert_false(session_takes(&ours, 6));
    drop_all(&ours);
}

static void a_new_start_is_above_all_that_was_used(void **state)
{
    struct session ours, theirs;
    uint64_t first, second;

    begin(&ours, &theirs);
    first = ours.sent;
    for (int i = 0; i < SESSION_MESSAGES_MAX; i++) {
        send_note(&theirs, 1, 1); /* none of them comes */
    }
    second = session_start(&ours, theirs.received, 0);
    assert_true(second > theirs.sent);
    assert_true(second > first);
    drop_all(&theirs);
    session_init(&ours); /* a broker that knows nothing */
    assert_true(session_start(&ours, second, 0) > second + SESSION_MESSAGES_MAX);
    session_init(&ours);
    session_start(&ours, UINT64_MAX, 0); /* nonsense */
    assert_true(ours.sent < UINT64_MAX / 2);
}

/* The other side has heard of neither; a message of the first may come late. */
static void two_starts_above_the_same_numbers_differ(void **state)
{
    struct session ours;
    uint64_t first;

    session_init(&ours);
    first = session_start(&ours, 1000, 7);
    session_init(&ours); /* it has been forgotten */
    assert_true(session_start(&ours, 1000, 8) > first + SESSION_MESSAGES_MAX);
}

static void what_is_late_from_before_the_start_confirms_nothing(void **state)
{
    struct session ours, theirs;
    struct sequence late, head;

    begin(&ours, &theirs);
    late = send_note(&theirs, 1, 1)->head;
    session_start(&ours, theirs.sent, 0);
    assert_int_equal(session_receive(&ours, &late, 1), SESSION_REPEATED);
    assert_int_equal(session_greet(&ours, late.acknowledged, false), SESSION_STARTS);
    drop_all(&theirs);
    session_join(&theirs, ours.received);
    head = send_note(&theirs, 2, 1)->head;
    assert_int_equal(session_receive(&ours, &head, 1), SESSION_NEXT);
    assert_int_equal(session_greet(&ours, theirs.received, false), SESSION_GOES_ON);
    assert_int_equal(session_greet(&ours, late.acknowledged, false), SESSION_STALE);
    drop_all(&theirs);
}

static void what_was_lost_is_sent_again_as_it_was(void **state)
{
    struct session ours, theirs;
    struct sequence first, second;

    begin(&ours, &theirs);
    first = send_note(&ours, 1, 1)->head;
    second = send_note(&ours, 2, 1)->head;
    session_receive(&theirs, &first, 1);
    assert_true(session_resume(&ours, theirs.received));
    assert_false(session_takes(&ours, 1)); /* first things first */
    assert_int_equal(session_again(&ours)->number, second.number);
    session_resent(&ours);
    assert_null(session_again(&ours));
    assert_int_equal(session_receive(&theirs, &second, 1), SESSION_NEXT);
    assert_false(session_resume(&ours, ours.sent + 1));
    session_bare(&theirs);
    second = session_bare(&theirs);
    session_receive(&ours, &second, 1);
    assert_false(session_resume(&ours, first.number)); /* an old greeting */
    assert_int_equal(release_all(&ours), 2);
}

/* ---- at random ---------------------------------------------------------------------- */

#define ROUNDS 200
#define STEPS 400
#define WIRE_MAX 64

/* One direction: a session at each end, what is on the wire, what came out. */
struct side {
    struct session session;
    struct sequence heads[WIRE_MAX]; /* on their way to this side */
    uint64_t texts[WIRE_MAX];
    size_t wire;
    uint64_t said, heard; /* texts are 1, 2, 3 ... */
};

static uint64_t random_state;

static uint64_t draw(uint64_t below)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (random_state >> 33) % below;
}

static bool post(struct side *to, struct sequence head, uint64_t text)
{
    if (to->wire == WIRE_MAX) {
        return false;
    }
    to->heads[to->wire] = head;
    to->texts[to->wire++] = text;
    return true;
}

/* Sends again, or something new, or an acknowledgement, if there is room. */
static void speak(struct side *from, struct side *to)
{
    struct session_letter *again = session_again(&from->session);

    if (to->wire == WIRE_MAX) {
        return;
    }
    if (again != NULL) {
        post(to, note_of(again)->head, note_of(again)->text);
        session_resent(&from->session);
    } else if (session_owes(&from->session)) {
        post(to, session_bare(&from->session), 0);
    } else if (session_takes(&from->session, 1)) {
        struct note *note = send_note(&from->session, ++from->said, 1);

        post(to, note->head, note->text);
    }
}

static void hear(struct side *side)
{
    struct sequence head = side->heads[0];
    uint64_t text = side->texts[0];

    if (side->wire == 0) {
        return;
    }
    side->wire--;
    memmove(side->heads, side->heads + 1, side->wire * sizeof *side->heads);
    memmove(side->texts, side->texts + 1, side->wire * sizeof *side->texts);
    switch (session_receive(&side->session, &head, 1)) {
    case SESSION_NEXT:
        assert_int_equal(text, ++side->heard); /* each, once, in order */
        break;
    case SESSION_REPEATED:
        assert_true(text <= side->heard);
        break;
    case SESSION_BARE:
        break;
    case SESSION_GAP:
        fail_msg("a gap on a connection that loses nothing");
    }
    release_all(&side->session);
}

/* Any end of what is under way is lost; then both begin again where the other stopped. What
 * the old connection still delivers comes before that. */
static void cut(struct side *a, struct side *b)
{
    a->wire = draw(a->wire + 1);
    b->wire = draw(b->wire + 1);
    while (a->wire > 0 && draw(2) > 0) {
        hear(a);
    }
    while (b->wire > 0 && draw(2) > 0) {
        hear(b);
    }
    a->wire = b->wire = 0;
    assert_true(session_resume(&a->session, b->session.received));
    assert_true(session_resume(&b->session, a->session.received));
}

static void everything_comes_once_in_order_across_a_thousand_cuts(void **state)
{
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct side a = {.wire = 0}, b = {.wire = 0};

        random_state = seed * 0x9e3779b97f4a7c15ULL;
        begin(&a.session, &b.session);
        for (int i = 0; i < STEPS; i++) {
            switch (draw(20)) {
            case 0:
                cut(&a, &b);
                break;
            case 1 ... 5:
                speak(&a, &b);
                break;
            case 6 ... 10:
                speak(&b, &a);
                break;
            case 11 ... 15:
                hear(&a);
                break;
            default:
                hear(&b);
            }
        }
        cut(&a, &b);
        while (session_again(&a.session) != NULL || session_again(&b.session) != NULL ||
               a.wire + b.wire > 0) {
            if (session_again(&a.session) != NULL) {
                speak(&a, &b);
            }
            if (session_again(&b.session) != NULL) {
                speak(&b, &a);
            }
            hear(&a);
            hear(&b);
        }
        assert_int_equal(a.said, b.heard);
        assert_int_equal(b.said, a.heard);
        drop_all(&a.session);
        drop_all(&b.session);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_taken_once_and_released_when_acknowledged),
        cmocka_unit_test(a_gap_and_a_false_acknowledgement_change_nothing),
        cmocka_unit_test(silence_is_acknowledged_after_some_messages),
        cmocka_unit_test(silence_is_acknowledged_after_many_bytes),
        cmocka_unit_test(what_is_kept_is_bounded_by_count_and_bytes),
        cmocka_unit_test(a_new_start_is_above_all_that_was_used),
        cmocka_unit_test(two_starts_above_the_same_numbers_differ),
        cmocka_unit_test(what_is_late_from_before_the_start_confirms_nothing),
        cmocka_unit_test(what_was_lost_is_sent_again_as_it_was),
        cmocka_unit_test(everything_comes_once_in_order_across_a_thousand_cuts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
