/* SPDX-License-Identifier: Apache-2.0 */
/* probe.c - can this host run a micro-VM?  It is tried. */
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/microvm/backend/microvm.h"
#include "sandbox/microvm/device.h"

/* Returns whether there is one that can be opened. */
static bool probe_device(struct probe_item *item)
{
    struct device_fault fault;
    auto_fd int fd = -1;

    if (device_open(&fd, &fault) == 0)
        return true;
    snprintf(item->text, sizeof(item->text), "%s", fault.what);
    snprintf(item->remedy, sizeof(item->remedy), "%s", fault.remedy);
    return false;
}

static bool probe_machine(struct probe_item *item)
{
    struct gbx_error err = {0};
    struct machine machine;

    if (machine_open(&machine, &err) == 0) {
        machine_close(&machine);
        return true;
    }
    snprintf(item->text, sizeof(item->text), "%.190s", err.what);
    snprintf(item->remedy, sizeof(item->remedy),
             "use a newer kernel; a virtual machine needs nested "
             "virtualization that has all this");
    return false;
}

size_t microvm_probe(struct probe_item *items, size_t max)
{
    bool emulated = access("/sys/module/kvm_pvm", F_OK) == 0;

    if (max == 0)
        return 0;
    items[0] = (struct probe_item){.name = "KVM", .state = PROBE_MISSING};
    if (!probe_device(&items[0]) || !probe_machine(&items[0]))
        return 1;
    items[0].state = PROBE_OK;
    snprintf(items[0].text, sizeof(items[0].text), DEVICE_PATH "%s",
             emulated ? ", paravirtual (kvm_pvm): exits cost more" : "");
    return 1;
}
