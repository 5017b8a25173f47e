/* SPDX-License-Identifier: Apache-2.0 */
/* ending.c - why a guest ended, for a person: what, where, and the remedy. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "sandbox/microvm/backend/microvm.h"
#include "sandbox/microvm/elf/elf.h"
#include "sandbox/microvm/elf/symbols.h"

#define VECTOR_PAGE 14u

struct place {
    char text[160];
};

/* Symbols have addresses, not places in the file. */
static bool find_symbol(int fd, uint64_t bytes, uint64_t in_file, char *symbol,
                        size_t symbol_bytes, uint64_t *off)
{
    struct elf_image image;

    if (fd < 0 || elf_read(&image, fd, bytes, TABLES_USER_END, NULL) < 0)
        return false;
    for (uint32_t i = 0; i < image.segment_count; i++) {
        const struct elf_segment *segment = &image.segments[i];

        if (in_file - segment->file_off < segment->file_bytes)
            return elf_symbol(fd, bytes,
                              segment->va + (in_file - segment->file_off),
                              symbol, symbol_bytes, off) == 0;
    }
    return false;
}

/* Of a code address: the file, and the nearest symbol in it. */
static void name_place(struct kernel *kernel, uint64_t address,
                       struct place *place)
{
    const struct area *area = space_find(&kernel->space, address);
    char path[PATH_MAX] = "", symbol[64];
    uint64_t off, in_file;
    int64_t bytes;

    place->text[0] = '\0';
    if (area == NULL || area->start > address || area->file == NULL ||
        area->file->node == NULL ||
        node_path(area->file->node, path, sizeof(path)) < 0)
        return;
    in_file = area->off + (address - area->start);
    bytes = area->file->class->size(area->file);
    if (bytes > 0 && find_symbol(file_host_fd(area->file), (uint64_t)bytes,
                                 in_file, symbol, sizeof(symbol), &off))
        snprintf(place->text, sizeof(place->text),
                 " (%.60s+0x%" PRIx64 " in %.60s)", symbol, off, path);
    else
        snprintf(place->text, sizeof(place->text),
                 " (in %.100s, 0x%" PRIx64 " in the file)", path, in_file);
}

static void explain_signal(struct microvm *vm)
{
    struct kernel *kernel = vm->kernel;
    const struct kernel_end *end = &kernel->end;
    const char *name = sigdescr_np(end->signal);
    const char *deed = (end->error & 16) != 0  ? "fetch of code at"
                       : (end->error & 2) != 0 ? "write to"
                                               : "read of";
    char fault[120] = "";
    struct place place;

    if (end->vector == KERNEL_NO_VECTOR) {
        snprintf(vm->end_text, sizeof(vm->end_text),
                 "signal %d (%s) killed the guest", end->signal,
                 name != NULL ? name : "unknown");
        return;
    }
    name_place(kernel, end->rip, &place);
    if (end->vector == VECTOR_PAGE)
        snprintf(fault, sizeof(fault), "%s address 0x%" PRIx64 "%s", deed,
                 end->address,
                 end->address < 4096 ? ", a NULL pointer,"
                 : kernel->stack_top - end->address <
                         KERNEL_STACK_BYTES + (1u << 20)
                     ? ", below its stack: too deep a recursion,"
                     : "");
    else
        snprintf(fault, sizeof(fault), "exception %u", end->vector);
    snprintf(vm->end_text, sizeof(vm->end_text),
             "signal %d (%s) killed the guest: %s at 0x%" PRIx64 "%s",
             end->signal, name != NULL ? name : "unknown", fault, end->rip,
             place.text);
}

/* What it could not have may be why it ended. */
static void add_unsupported(struct microvm *vm)
{
    size_t bytes = strlen(vm->end_text);

    if (vm->kernel->unsupported != NULL)
        snprintf(vm->end_text + bytes, sizeof(vm->end_text) - bytes,
                 "; the last thing it asked for in vain: %s",
                 vm->kernel->unsupported);
}

int ending_tell(struct microvm *vm, int code, const char *text)
{
    snprintf(vm->end_text, sizeof(vm->end_text), "%s", text);
    return code;
}

void ending_explain(struct microvm *vm, int code, const struct run_exit *exit)
{
    switch (code) {
    case GBX_EEXIT:
        snprintf(vm->end_text, sizeof(vm->end_text),
                 "the script ended its process without an answer: it exited "
                 "with status %d",
                 vm->kernel->end.status);
        if (vm->kernel->end.status != 0)
            add_unsupported(vm);
        break;
    case GBX_ESIGNAL:
        explain_signal(vm);
        add_unsupported(vm);
        break;
    case GBX_ECPU:
        snprintf(vm->end_text, sizeof(vm->end_text),
                 "the CPU time limit of %" PRIu64 " ms was reached",
                 vm->limits.cpu_ns / 1000000u);
        break;
    case GBX_EMEMORY:
        snprintf(vm->end_text, sizeof(vm->end_text),
                 "the memory limit of %" PRIu64 " KiB was reached",
                 vm->limits.memory_bytes / 1024u);
        break;
    case GBX_EBROKEN:
        snprintf(vm->end_text, sizeof(vm->end_text),
                 "the guest did what no program does: %s", exit->text);
        break;
    case GBX_EHOST:
        snprintf(vm->end_text, sizeof(vm->end_text),
                 "KVM failed while it ran the guest");
        break;
    default:
        vm->end_text[0] = '\0';
    }
}
