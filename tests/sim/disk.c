#include "tests/sim/disk.h"

#include "tests/sim/options.h"
#include "tests/sim/sometimes.h"

void disk_init(struct disk *disk, struct agenda *agenda, const struct sim_options *options,
               void (*done)(void *context, uint64_t sequence), void *context)
{
    *disk = (struct disk){
        .agenda = agenda, .options = options, .done = done, .context = context};
    random_init(&disk->random, options->seed, "disk", 0);
    disk->shelf = shelf_new();
    disk->state = STORE_OPEN;
}

void disk_deinit(struct disk *disk)
{
    shelf_free(disk->shelf);
}

void disk_add(struct disk *disk, const struct store_record *record)
{
    shelf_add(disk->shelf, record);
}

static void finish(struct disk *disk)
{
    disk->busy = false;
    if (disk->state != STORE_OPEN) {
        return; /* begun again when there is room */
    }
    disk->stored = disk->target;
    disk->done(disk->context, disk->stored);
}

static void on_written(void *context, uint64_t life)
{
    struct disk *disk = context;

    if (life == disk->life && disk->busy) {
        finish(disk);
        disk_look(disk);
    }
}

/* One commit at a time, of what has gathered meanwhile; now and then of less. */
void disk_look(struct disk *disk)
{
    uint64_t last = shelf_last(disk->shelf);

    while (!disk->busy && disk->state == STORE_OPEN && disk->stored < last) {
        disk->busy = true;
        disk->target = random_chance(&disk->random, 800)
                           ? last
                           : random_between(&disk->random, disk->stored + 1, last);
        if (disk->options->store_us > 0) {
            agenda_enter(disk->agenda,
                         disk->agenda->now_us +
                             1 + random_wait(&disk->random, disk->options->store_us),
                         on_written, disk, disk->life);
            return;
        }
        finish(disk);
        last = shelf_last(disk->shelf);
    }
}

uint64_t disk_crash(struct disk *disk)
{
    uint64_t last = shelf_last(disk->shelf), kept = last;
    uint64_t which = random_below(&disk->random, 3);

    if (which == 0) {
        kept = disk->stored;
    } else if (which == 1) {
        kept = random_between(&disk->random, disk->stored, last);
    }
    if (kept < last) {
        sometimes(SOMETIMES_PREFIX_DROPPED);
    }
    if (kept > disk->stored) {
        sometimes(SOMETIMES_PREFIX_KEPT);
    }
    shelf_crash(disk->shelf, kept);
    disk->stored = 0;
    disk->busy = false;
    disk->life++;
    return kept;
}
