#include "agents/retriever/utf8.h"

/* Bytes of a sequence that begins with `byte`; 0: none does. */
static size_t utf8_size_of(uint8_t byte)
{
    if (byte < 0x80) {
        return 1;
    }
    if (byte < 0xC2 || byte > 0xF4) {
        return 0;
    }
    return byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

size_t utf8_size(struct span text, size_t at)
{
    const uint8_t *p = text.data + at;
    size_t left = text.size - at;
    size_t size = utf8_size_of(p[0]);

    if (size == 0 || size > left) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] >= 0xA0) ||
        (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] >= 0x90)) {
        return 0;
    }
    return size;
}

bool utf8_valid(struct span text)
{
    size_t at = 0;

    while (at < text.size) {
        size_t size = utf8_size(text, at);

        if (size == 0) {
            return false;
        }
        at += size;
    }
    return true;
}
