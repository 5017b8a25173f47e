/* SPDX-License-Identifier: Apache-2.0 */
/* probe.c - can this host run a micro-VM?  It is tried. */
#include <stdio.h>
#include <unistd.h>

#include "sandbox/microvm/backend/microvm.h"

size_t microvm_probe(struct probe_item *items, size_t max)
{
    struct machine machine;
    struct gbx_error err = {0};
    int rc;
    bool emulated = access("/sys/module/kvm_pvm", F_OK) == 0;

    if (max == 0)
        return 0;
    rc = machine_open(&machine, &err);
    items[0] = (struct probe_item){.name = "KVM"};
    if (rc < 0) {
        items[0].state = PROBE_MISSING;
        snprintf(items[0].text, sizeof(items[0].text), "%.190s", err.what);
        items[0].remedy =
            "as root: modprobe kvm_intel or kvm_amd, and usermod -aG kvm USER; "
            "in a virtual machine, nested virtualization must be on";
        return 1;
    }
    machine_close(&machine);
    items[0].state = PROBE_OK;
    snprintf(items[0].text, sizeof(items[0].text), "/dev/kvm%s",
             emulated ? ", paravirtual (kvm_pvm): exits cost more" : "");
    return 1;
}
