#include "common/zone.h"

#include "common/zone_rule.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_BYTES 44
#define TYPE_BYTES 6
#define COUNT_MAX 8192 /* of anything in a file of bounded size */

/* One data block: header, transition times, their types, types, abbreviations, the rest. */
struct block {
    uint32_t ut_count, standard_count, leap_count, time_count, type_count, text_bytes;
    unsigned time_bytes; /* 4 in the first block, 8 in the second */
    const uint8_t *times, *indexes, *types, *texts;
    size_t size; /* of the whole block */
};

static int64_t read_number(const uint8_t *bytes, unsigned count)
{
    uint64_t number = bytes[0] & 0x80 ? UINT64_MAX : 0;

    for (unsigned i = 0; i < count; i++) {
        number = number << 8 | bytes[i];
    }
    return (int64_t)number;
}

static bool block_read(const uint8_t *bytes, size_t size, unsigned time_bytes, struct block *block)
{
    uint32_t *counts[] = {&block->ut_count,   &block->standard_count, &block->leap_count,
                          &block->time_count, &block->type_count,     &block->text_bytes};

    if (size < HEADER_BYTES || memcmp(bytes, "TZif", 4) != 0) {
        return false;
    }
    for (size_t i = 0; i < 6; i++) {
        *counts[i] = (uint32_t)read_number(bytes + 20 + i * 4, 4);
        if (*counts[i] > COUNT_MAX) {
            return false;
        }
    }
    block->time_bytes = time_bytes;
    block->times = bytes + HEADER_BYTES;
    block->indexes = block->times + (size_t)block->time_count * time_bytes;
    block->types = block->indexes + block->time_count;
    block->texts = block->types + (size_t)block->type_count * TYPE_BYTES;
    block->size = (size_t)(block->texts - bytes) + block->text_bytes +
                  (size_t)block->leap_count * (time_bytes + 4) + block->standard_count +
                  block->ut_count;
    return block->size <= size && block->type_count > 0;
}

static bool type_read(const struct block *block, uint8_t index, struct zone_time *time)
{
    const uint8_t *type = block->types + (size_t)index * TYPE_BYTES;
    size_t text;

    if (index >= block->type_count || type[5] >= block->text_bytes) {
        return false;
    }
    text = type[5];
    time->offset_s = (int32_t)read_number(type, 4);
    time->daylight_saving = type[4] != 0;
    snprintf(time->abbreviation, sizeof time->abbreviation, "%.*s",
             (int)(block->text_bytes - text), (const char *)block->texts + text);
    return time->offset_s > -86400 * 2 && time->offset_s < 86400 * 2;
}

/* The type in force at `unix_s`: that of the last transition not after it; before all of
 * them the first type. *last: no transition comes after. */
static bool block_find(const struct block *block, int64_t unix_s, struct zone_time *time,
                       bool *last)
{
    size_t low = 0, high = block->time_count; /* transitions before `low` are not after unix_s */

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (read_number(block->times + middle * block->time_bytes, block->time_bytes) <= unix_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *last = low == block->time_count;
    return type_read(block, low == 0 ? 0 : block->indexes[low - 1], time);
}

bool zone_decode(const uint8_t *bytes, size_t size, int64_t unix_s, struct zone_time *time)
{
    struct block block;
    char rule[128];
    const uint8_t *rule_end;
    bool last;

    if (!block_read(bytes, size, 4, &block)) {
        return false;
    }
    if (bytes[4] < '2') { /* the first version has 32-bit times and no rule */
        return block_find(&block, unix_s, time, &last);
    }
    bytes += block.size;
    size -= block.size;
    if (!block_read(bytes, size, 8, &block) || !block_find(&block, unix_s, time, &last)) {
        return false;
    }
    bytes += block.size;
    size -= block.size;
    if (!last || size < 2 || bytes[0] != '\n' || bytes[1] == '\n') {
        return true;
    }
    bytes++;
    rule_end = memchr(bytes, '\n', size - 1);
    if (!rule_end || (size_t)(rule_end - bytes) >= sizeof rule) {
        return false;
    }
    memcpy(rule, bytes, (size_t)(rule_end - bytes));
    rule[rule_end - bytes] = '\0';
    return zone_rule_apply(rule, unix_s, time);
}

/* Letters, digits and _ + - in parts with / between: nothing that leads elsewhere. */
static bool is_name(const char *name)
{
    size_t size = strnlen(name, ZONE_NAME_MAX + 1);

    if (size == 0 || size > ZONE_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        bool inner = i > 0 && i + 1 < size && name[i - 1] != '/';

        if (!isalnum((unsigned char)name[i]) && !strchr("_+-", name[i]) &&
            !(name[i] == '/' && inner)) {
            return false;
        }
    }
    return true;
}

static enum zone_outcome file_read(const char *path, uint8_t *bytes, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    ssize_t count;

    if (fd < 0) {
        return ZONE_UNKNOWN;
    }
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return ZONE_UNKNOWN;
    }
    count = read(fd, bytes, *size);
    close(fd);
    *size = count < 0 ? 0 : (size_t)count;
    return count < 0 ? ZONE_UNREADABLE : ZONE_OK;
}

enum zone_outcome zone_load(const char *directory, const char *name, struct zone *zone)
{
    char path[512];
    size_t size = ZONE_FILE_BYTES_MAX;
    enum zone_outcome outcome;
    uint8_t *bytes;

    *zone = (struct zone){.bytes = NULL};
    if (strcmp(name, "UTC") == 0) {
        return ZONE_OK;
    }
    if (!is_name(name)) {
        return ZONE_UNKNOWN;
    }
    snprintf(path, sizeof path, "%s/%s", directory, name);
    bytes = malloc(size);
    if (!bytes) {
        return ZONE_UNREADABLE;
    }
    outcome = file_read(path, bytes, &size);
    /* Tables and lists lie in the same folder; to a user they are no zones. */
    if (outcome == ZONE_OK && (size < 4 || memcmp(bytes, "TZif", 4) != 0)) {
        outcome = ZONE_UNKNOWN;
    }
    if (outcome == ZONE_OK) {
        *zone = (struct zone){.bytes = bytes, .size = size};
    } else {
        free(bytes);
    }
    return outcome;
}

void zone_unload(struct zone *zone)
{
    free(zone->bytes);
    zone->bytes = NULL;
}

bool zone_show(const struct zone *zone, int64_t unix_s, struct zone_time *time)
{
    *time = (struct zone_time){.abbreviation = "UTC"};
    return zone->bytes == NULL || zone_decode(zone->bytes, zone->size, unix_s, time);
}

enum zone_outcome zone_at(const char *directory, const char *name, int64_t unix_s,
                          struct zone_time *time)
{
    struct zone zone;
    enum zone_outcome outcome = zone_load(directory, name, &zone);

    if (outcome != ZONE_OK) {
        return outcome;
    }
    if (!zone_show(&zone, unix_s, time)) {
        outcome = ZONE_UNREADABLE;
    }
    zone_unload(&zone);
    return outcome;
}
