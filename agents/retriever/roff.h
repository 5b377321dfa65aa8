/* roff: the input language of manual pages: escapes, arguments, conditions.
 *
 * After groff(7). Only what carries words is kept: fonts, motions, registers
 * and drawing go. Pure; any thread. */
#ifndef SLUICE_RETRIEVER_ROFF_H
#define SLUICE_RETRIEVER_ROFF_H

#include "agents/retriever/buffer.h"

#define ROFF_ARGS_MAX 32

/* Appends the words of one line of text to `out`. True: the line ended with \c,
 * so the next line continues its last word. */
bool roff_text(struct span line, struct buffer *out);

/* Splits what follows a macro's name into arguments, still with their escapes.
 * Quotes are taken off; "" inside quotes stays as it is. Returns their number. */
size_t roff_args(struct span rest, struct span args[ROFF_ARGS_MAX]);

/* What a condition (behind .if or .ie) says when a terminal is written to; `rest`
 * becomes what follows it. An unknown one is false. */
bool roff_condition(struct span *rest);

/* Parts a control line in name and rest. False: a line of text. */
bool roff_control(struct span line, struct span *name, struct span *rest);

#endif
