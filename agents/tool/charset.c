#include "agents/tool/charset.h"

#include "common/check.h"

#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Labels we accept, and what iconv calls them. A closed list: the name comes from a
 * stranger, and iconv loads modules by name. As browsers do, Latin-1 and ASCII mean
 * windows-1252, whose printable characters replace Latin-1's control codes. */
static const struct label {
    const char *label;
    const char *name;
} labels[] = {
    {"utf-8", "UTF-8"},
    {"utf8", "UTF-8"},
    {"us-ascii", "WINDOWS-1252"},
    {"ascii", "WINDOWS-1252"},
    {"iso-8859-1", "WINDOWS-1252"},
    {"iso8859-1", "WINDOWS-1252"},
    {"latin1", "WINDOWS-1252"},
    {"windows-1252", "WINDOWS-1252"},
    {"cp1252", "WINDOWS-1252"},
    {"iso-8859-2", "ISO-8859-2"},
    {"iso-8859-3", "ISO-8859-3"},
    {"iso-8859-4", "ISO-8859-4"},
    {"iso-8859-5", "ISO-8859-5"},
    {"iso-8859-6", "ISO-8859-6"},
    {"iso-8859-7", "ISO-8859-7"},
    {"iso-8859-8", "ISO-8859-8"},
    {"iso-8859-9", "WINDOWS-1254"},
    {"iso-8859-10", "ISO-8859-10"},
    {"iso-8859-13", "ISO-8859-13"},
    {"iso-8859-14", "ISO-8859-14"},
    {"iso-8859-15", "ISO-8859-15"},
    {"iso-8859-16", "ISO-8859-16"},
    {"windows-1250", "WINDOWS-1250"},
    {"windows-1251", "WINDOWS-1251"},
    {"windows-1253", "WINDOWS-1253"},
    {"windows-1254", "WINDOWS-1254"},
    {"windows-1255", "WINDOWS-1255"},
    {"windows-1256", "WINDOWS-1256"},
    {"windows-1257", "WINDOWS-1257"},
    {"windows-1258", "WINDOWS-1258"},
    {"windows-874", "WINDOWS-874"},
    {"tis-620", "WINDOWS-874"},
    {"koi8-r", "KOI8-R"},
    {"koi8-u", "KOI8-U"},
    {"macintosh", "MACINTOSH"},
    {"shift_jis", "CP932"},
    {"shift-jis", "CP932"},
    {"sjis", "CP932"},
    {"windows-31j", "CP932"},
    {"euc-jp", "EUC-JP"},
    {"iso-2022-jp", "ISO-2022-JP"},
    {"gb2312", "GBK"},
    {"gbk", "GBK"},
    {"gb18030", "GB18030"},
    {"big5", "BIG5-HKSCS"},
    {"euc-kr", "CP949"},
    {"ks_c_5601-1987", "CP949"},
    {"utf-16", "UTF-16LE"},
    {"utf-16le", "UTF-16LE"},
    {"utf-16be", "UTF-16BE"},
};

#define META_BYTES_MAX 1024 /* how far the HTML standard looks */

static const char *label_find(const char *label)
{
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        if (strcasecmp(labels[i].label, label) == 0) {
            return labels[i].name;
        }
    }
    return NULL;
}

/* Copies what follows `charset=` in `text`: a token, perhaps quoted. */
static void charset_in(const char *text, const char *end, char *name, size_t size)
{
    static const char key[] = "charset";
    size_t used = 0;

    name[0] = '\0';
    for (; text + strlen(key) < end; text++) {
        const char *at = text + strlen(key);

        if (strncasecmp(text, key, strlen(key)) != 0) {
            continue;
        }
        while (at < end && isspace((unsigned char)*at)) {
            at++;
        }
        if (at == end || *at != '=') {
            continue;
        }
        do {
            at++;
        } while (at < end && (isspace((unsigned char)*at) || *at == '"' || *at == '\''));
        while (at < end && used + 1 < size && (isalnum((unsigned char)*at) || strchr("-_", *at)) &&
               *at) {
            name[used++] = (char)tolower((unsigned char)*at++);
        }
        name[used] = '\0';
        return;
    }
}

void charset_of_content_type(const char *content_type, char *name, size_t size)
{
    CHECK(size > 0);
    name[0] = '\0';
    if (content_type) {
        charset_in(content_type, content_type + strlen(content_type), name, size);
    }
}

/* Where a <meta> of the first bytes says so: its own attribute, or http-equiv's. */
static const char *meta_charset(const char *bytes, size_t size)
{
    const char *end = bytes + (size < META_BYTES_MAX ? size : META_BYTES_MAX);
    char name[32];

    for (const char *at = bytes; end - at > 5; at++) {
        const char *close;

        if (strncasecmp(at, "<meta", 5) != 0) {
            continue;
        }
        close = memchr(at, '>', (size_t)(end - at));
        charset_in(at, close ? close : end, name, sizeof name);
        if (label_find(name)) {
            /* A page that could be read so far is not UTF-16, whatever it says. */
            return strncmp(name, "utf-16", 6) == 0 ? "UTF-8" : label_find(name);
        }
    }
    return NULL;
}

/* Is it built like UTF-8? `is_cut`: half a character at the very end is no fault. */
static bool is_utf8(const unsigned char *bytes, size_t size, bool is_cut)
{
    size_t i = 0;

    while (i < size) {
        size_t more = bytes[i] < 0x80 ? 0 : bytes[i] < 0xe0 ? 1 : bytes[i] < 0xf0 ? 2 : 3;

        if ((bytes[i] >= 0x80 && bytes[i] < 0xc2) || bytes[i] > 0xf4) {
            return false;
        }
        if (i + more >= size && !is_cut) {
            return false;
        }
        for (size_t k = 1; k <= more && i + k < size; k++) {
            if ((bytes[i + k] & 0xc0) != 0x80) {
                return false;
            }
        }
        i += more + 1;
    }
    return true;
}

static const char *mark_charset(const char **bytes, size_t *size)
{
    static const struct {
        const char *mark;
        size_t size;
        const char *name;
    } marks[] = {
        {"\xef\xbb\xbf", 3, "UTF-8"}, {"\xff\xfe", 2, "UTF-16LE"}, {"\xfe\xff", 2, "UTF-16BE"}};

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (*size >= marks[i].size && memcmp(*bytes, marks[i].mark, marks[i].size) == 0) {
            *bytes += marks[i].size;
            *size -= marks[i].size;
            return marks[i].name;
        }
    }
    return NULL;
}

struct output {
    char *bytes;
    size_t used, size;
};

static bool output_reserve(struct output *output, size_t more)
{
    size_t size = output->size;
    char *bytes;

    while (size - output->used < more) {
        size *= 2;
    }
    bytes = size == output->size ? output->bytes : realloc(output->bytes, size);
    if (!bytes) {
        return false;
    }
    output->bytes = bytes;
    output->size = size;
    return true;
}

/* Converts until the end; false: no memory. `unit`: bytes to pass over where none decode. */
static bool convert(iconv_t from, size_t unit, const char *bytes, size_t size, bool is_cut,
                    struct output *output)
{
    char *in = (char *)(uintptr_t)bytes; /* iconv does not write there */

    while (size > 0) {
        char *out;
        size_t room, rc;

        if (!output_reserve(output, size + 16)) {
            return false;
        }
        out = output->bytes + output->used;
        room = output->size - output->used - 4; /* for U+FFFD and NUL */
        rc = iconv(from, &in, &size, &out, &room);
        output->used = (size_t)(out - output->bytes);
        if (rc != (size_t)-1 || errno == E2BIG) {
            continue;
        }
        if (errno == EINVAL && is_cut) {
            break;
        }
        memcpy(output->bytes + output->used, "\xef\xbf\xbd", 3);
        output->used += 3;
        in += size < unit ? size : unit;
        size -= size < unit ? size : unit;
    }
    return output_reserve(output, 1);
}

/* iconv writes what is built like UTF-8 and may still be none: code points beyond the last
 * (glibc lets F5 and more pass) and surrogates. Those are never shorter than U+FFFD, so
 * this works in place. NULs go. Returns the new size. */
static size_t make_strict(char *bytes, size_t size)
{
    size_t kept = 0;

    for (size_t i = 0; i < size;) {
        unsigned char lead = (unsigned char)bytes[i];
        unsigned char second = i + 1 < size ? (unsigned char)bytes[i + 1] : 0;
        size_t count = 1;

        while (i + count < size && ((unsigned char)bytes[i + count] & 0xc0) == 0x80) {
            count++;
        }
        if ((lead == 0xed && second >= 0xa0) || (lead == 0xf4 && second >= 0x90) || lead > 0xf4) {
            memcpy(bytes + kept, "\xef\xbf\xbd", 3);
            kept += 3;
        } else if (lead != '\0') {
            memmove(bytes + kept, bytes + i, count);
            kept += count;
        }
        i += count;
    }
    return kept;
}

char *charset_decode(const char *name, const char *bytes, size_t size, bool is_html, bool is_cut,
                     size_t *decoded_bytes)
{
    const char *from_name = mark_charset(&bytes, &size);
    struct output output = {.size = size + 64};
    iconv_t from;
    bool converted;

    if (!from_name && name) {
        from_name = label_find(name);
    }
    if (!from_name && is_html) {
        from_name = meta_charset(bytes, size);
    }
    if (!from_name) {
        from_name =
            is_utf8((const unsigned char *)bytes, size, is_cut) ? "UTF-8" : "WINDOWS-1252";
    }
    from = iconv_open("UTF-8", from_name);
    if (from == (iconv_t)-1) { /* a system without that module: what is ASCII survives */
        from = iconv_open("UTF-8", "UTF-8");
    }
    output.bytes = malloc(output.size);
    if (from == (iconv_t)-1 || !output.bytes) {
        free(output.bytes);
        return NULL;
    }
    converted = convert(from, strncmp(from_name, "UTF-16", 6) == 0 ? 2 : 1, bytes, size, is_cut,
                        &output);
    iconv_close(from);
    if (!converted) {
        free(output.bytes);
        return NULL;
    }
    *decoded_bytes = make_strict(output.bytes, output.used);
    output.bytes[*decoded_bytes] = '\0';
    return output.bytes;
}
