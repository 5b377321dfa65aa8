#include "agents/runtime/numbering.h"

#include "common/mutant.h"

void numbering_init(struct numbering *numbering)
{
    *numbering = (struct numbering){.on = false};
    session_init(&numbering->session);
}

void numbering_stop(struct numbering *numbering)
{
    const struct session *session = &numbering->session;
    uint64_t used = session->sent > session->received ? session->sent : session->received;

    numbering->used = numbering->used > used ? numbering->used : used;
    letters_drop(&numbering->session);
    numbering->on = numbering->linked = numbering->missing = false;
}

void numbering_break(struct numbering *numbering)
{
    numbering->plain = numbering->plain || numbering->on;
    numbering_stop(numbering);
}

void numbering_unlink(struct numbering *numbering)
{
    numbering->linked = numbering->missing = false;
}

bool numbering_greet(struct numbering *numbering, struct hello *hello)
{
    if (numbering->plain) {
        hello->resume = false;
    }
    numbering->plain = false;
    numbering->greeting = hello->greeting;
    numbering_unlink(numbering);
    if (!numbering->on || !hello->resume) {
        numbering_stop(numbering);
        hello->received = hello->resume ? numbering->used : 0;
        return false;
    }
    hello->received = numbering->session.received;
    return true;
}

enum numbering_change numbering_welcome(struct numbering *numbering,
                                        const struct welcome *welcome)
{
    if (welcome->greeting != 0 && welcome->greeting != numbering->greeting &&
        !MUTANT(ANY_WELCOME_TAKEN)) {
        return NUMBERING_SAME;
    }
    if (!welcome->resume) {
        if (!numbering->on) {
            return NUMBERING_SAME;
        }
        numbering_stop(numbering);
        return NUMBERING_ANEW;
    }
    if (welcome->resumed) {
        if (!numbering->on || numbering->linked) {
            return NUMBERING_SAME;
        }
        numbering->linked = session_resume(&numbering->session, welcome->received);
        if (numbering->linked) {
            return NUMBERING_SAME;
        }
        numbering_break(numbering);
        return NUMBERING_BROKEN;
    }
    if (numbering->linked && numbering->start == welcome->received) {
        return NUMBERING_SAME;
    }
    numbering_stop(numbering);
    session_join(&numbering->session, welcome->received);
    numbering->start = welcome->received;
    numbering->on = numbering->linked = true;
    return NUMBERING_ANEW;
}

void numbering_error(struct numbering *numbering, const struct error_message *error)
{
    if (error->command == COMMAND_HELLO && span_is(error->field, "received")) {
        numbering->plain = true;
    }
}

bool numbering_take(struct numbering *numbering, const struct sequence *sequence, size_t bytes)
{
    enum session_news news;

    if (!numbering->linked && !MUTANT(SESSION_HANDLES_TWICE)) {
        return false; /* of before WELCOME: it comes again */
    }
    news = session_receive(&numbering->session, sequence, bytes);
    letters_release(&numbering->session);
    numbering->missing = numbering->missing || news == SESSION_GAP;
    return news == SESSION_NEXT;
}

bool numbering_lets(const struct numbering *numbering, size_t bytes)
{
    return !numbering->on || (numbering->linked && session_takes(&numbering->session, bytes));
}
