#include "agents/retriever/mdoc.h"

#include "agents/retriever/roff.h"

enum mdoc_role {
    MDOC_NONE,
    MDOC_TEXT,   /* its arguments are text; may stand among the arguments of others */
    MDOC_FLAG,   /* the same, each with a hyphen in front */
    MDOC_BREAK,  /* ends the paragraph; arguments are settings */
    MDOC_ITEM,   /* ends the paragraph; arguments are text */
    MDOC_IGNORE, /* says nothing to a reader */
    MDOC_SECTION,
    MDOC_SUBSECTION,
    MDOC_GLUE,       /* Ns: no blank here */
    MDOC_GLUE_AFTER, /* Pf: no blank after its first argument */
    MDOC_CROSS,      /* Xr: name(section) */
};

static const struct {
    char name[3];
    enum mdoc_role role;
} mdoc_macros[] = {
    {"Ad", MDOC_TEXT},   {"An", MDOC_TEXT},   {"Ao", MDOC_TEXT},   {"Ap", MDOC_GLUE},
    {"Ac", MDOC_TEXT},   {"Aq", MDOC_TEXT},   {"Ar", MDOC_TEXT},   {"At", MDOC_TEXT},
    {"Bc", MDOC_TEXT},   {"Bd", MDOC_BREAK},  {"Bf", MDOC_IGNORE}, {"Bk", MDOC_IGNORE},
    {"Bl", MDOC_BREAK},  {"Bo", MDOC_TEXT},   {"Bq", MDOC_TEXT},   {"Brc", MDOC_TEXT},
    {"Bro", MDOC_TEXT},  {"Brq", MDOC_TEXT},  {"Bx", MDOC_TEXT},   {"Cd", MDOC_TEXT},
    {"Cm", MDOC_TEXT},   {"D1", MDOC_ITEM},   {"Db", MDOC_IGNORE}, {"Dc", MDOC_TEXT},
    {"Dd", MDOC_IGNORE}, {"Dl", MDOC_ITEM},   {"Do", MDOC_TEXT},   {"Dq", MDOC_TEXT},
    {"Dt", MDOC_IGNORE}, {"Dv", MDOC_TEXT},   {"Dx", MDOC_TEXT},   {"Ec", MDOC_TEXT},
    {"Ed", MDOC_BREAK},  {"Ef", MDOC_IGNORE}, {"Ek", MDOC_IGNORE}, {"El", MDOC_BREAK},
    {"Em", MDOC_TEXT},   {"Eo", MDOC_TEXT},   {"Er", MDOC_TEXT},   {"Ev", MDOC_TEXT},
    {"Ex", MDOC_IGNORE}, {"Fa", MDOC_TEXT},   {"Fc", MDOC_TEXT},   {"Fd", MDOC_TEXT},
    {"Fl", MDOC_FLAG},   {"Fn", MDOC_TEXT},   {"Fo", MDOC_TEXT},   {"Fr", MDOC_TEXT},
    {"Ft", MDOC_TEXT},   {"Fx", MDOC_TEXT},   {"Ic", MDOC_TEXT},   {"In", MDOC_TEXT},
    {"It", MDOC_ITEM},   {"Lb", MDOC_TEXT},   {"Li", MDOC_TEXT},   {"Lk", MDOC_TEXT},
    {"Lp", MDOC_BREAK},  {"Ms", MDOC_TEXT},   {"Mt", MDOC_TEXT},   {"Nd", MDOC_TEXT},
    {"Nm", MDOC_TEXT},   {"No", MDOC_TEXT},   {"Ns", MDOC_GLUE},   {"Nx", MDOC_TEXT},
    {"Oc", MDOC_TEXT},   {"Oo", MDOC_TEXT},   {"Op", MDOC_TEXT},   {"Os", MDOC_IGNORE},
    {"Ot", MDOC_TEXT},   {"Ox", MDOC_TEXT},   {"Pa", MDOC_TEXT},   {"Pc", MDOC_TEXT},
    {"Pf", MDOC_GLUE_AFTER},                  {"Po", MDOC_TEXT},   {"Pp", MDOC_BREAK},
    {"Pq", MDOC_TEXT},   {"Qc", MDOC_TEXT},   {"Ql", MDOC_TEXT},   {"Qo", MDOC_TEXT},
    {"Qq", MDOC_TEXT},   {"Re", MDOC_BREAK},  {"Rs", MDOC_BREAK},  {"Rv", MDOC_IGNORE},
    {"Sc", MDOC_TEXT},   {"Sh", MDOC_SECTION},                     {"Sm", MDOC_IGNORE},
    {"So", MDOC_TEXT},   {"Sq", MDOC_TEXT},   {"Ss", MDOC_SUBSECTION},
    {"St", MDOC_TEXT},   {"Sx", MDOC_TEXT},   {"Sy", MDOC_TEXT},   {"Ta", MDOC_TEXT},
    {"Tn", MDOC_TEXT},   {"Ud", MDOC_IGNORE}, {"Ux", MDOC_TEXT},   {"Va", MDOC_TEXT},
    {"Vt", MDOC_TEXT},   {"Xc", MDOC_TEXT},   {"Xo", MDOC_TEXT},   {"Xr", MDOC_CROSS},
};

static enum mdoc_role mdoc_role(struct span name)
{
    if (name.size == 2 && name.data[0] == '%') {
        return MDOC_TEXT; /* the parts of a reference */
    }
    for (size_t i = 0; i < sizeof mdoc_macros / sizeof mdoc_macros[0]; i++) {
        if (span_equal(name, span_of(mdoc_macros[i].name, strnlen(mdoc_macros[i].name, 3)))) {
            return mdoc_macros[i].role;
        }
    }
    return MDOC_NONE;
}

static bool span_is_one_of(struct span span, const char *bytes)
{
    return span.size == 1 && strchr(bytes, span.data[0]) != NULL;
}

static void decode(struct span raw, struct buffer *out)
{
    buffer_truncate(out, 0);
    roff_text(raw, out);
}

struct inline_state {
    enum mdoc_role role; /* of the macro whose arguments these are */
    size_t position;     /* among them */
    bool glue;           /* no blank before the next word */
};

static void argument_add(struct document *document, uint32_t line, struct inline_state *state,
                         struct span raw)
{
    struct buffer text = {0};
    bool closing = span_is_one_of(raw, ".,:;)]?!");
    bool opening = span_is_one_of(raw, "([");

    decode(raw, &text);
    if (!state->glue && !closing) {
        document_space(document);
    }
    if (state->role == MDOC_FLAG && !closing && !opening) {
        document_add(document, line, span_of("-", 1));
    }
    if (state->role == MDOC_CROSS && state->position == 1 && !closing) {
        document_add(document, line, span_of("(", 1));
    }
    document_add(document, line, buffer_span(&text));
    if (state->role == MDOC_CROSS && state->position == 1 && !closing) {
        document_add(document, line, span_of(")", 1));
    }
    state->glue = opening || (state->role == MDOC_GLUE_AFTER && state->position == 0) ||
                  (state->role == MDOC_CROSS && state->position == 0);
    state->position++;
    buffer_deinit(&text);
}

/* Arguments that are text, among them the names of further macros. */
static void arguments_add(struct document *document, uint32_t line, enum mdoc_role role,
                          struct span rest)
{
    struct inline_state state = {.role = role};
    struct span args[ROFF_ARGS_MAX];
    size_t count = roff_args(rest, args);

    for (size_t i = 0; i < count; i++) {
        enum mdoc_role inner = mdoc_role(args[i]);

        if (inner == MDOC_GLUE) {
            state = (struct inline_state){.role = MDOC_TEXT, .glue = true};
        } else if (inner == MDOC_TEXT || inner == MDOC_FLAG || inner == MDOC_CROSS ||
                   inner == MDOC_GLUE_AFTER) {
            state = (struct inline_state){.role = inner, .glue = state.glue};
        } else {
            argument_add(document, line, &state, args[i]);
        }
    }
    if (!state.glue) {
        document_space(document);
    }
}

bool mdoc_macro(struct document *document, uint32_t line, struct span name, struct span rest)
{
    enum mdoc_role role = mdoc_role(name);

    switch (role) {
    case MDOC_NONE:
        return false;
    case MDOC_IGNORE:
        break;
    case MDOC_BREAK:
        document_break(document);
        break;
    case MDOC_SECTION:
    case MDOC_SUBSECTION:
        document_heading(document, role == MDOC_SECTION ? 1 : 2);
        arguments_add(document, line, MDOC_TEXT, rest);
        document_break(document);
        break;
    case MDOC_ITEM:
        document_break(document);
        arguments_add(document, line, MDOC_TEXT, rest);
        break;
    case MDOC_TEXT:
    case MDOC_FLAG:
    case MDOC_GLUE:
    case MDOC_GLUE_AFTER:
    case MDOC_CROSS:
        arguments_add(document, line, role, rest);
        break;
    }
    return true;
}
