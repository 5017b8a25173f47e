/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.h - /dev/kvm: opened, or why not and what to do about it.
 *
 * Threads: any.
 */
#ifndef SANDBOX_MICROVM_DEVICE_H
#define SANDBOX_MICROVM_DEVICE_H

#define DEVICE_PATH "/dev/kvm"

/* For a person. */
struct device_fault {
    char what[110];
    char remedy[120];
};

/*
 * Returns 0 with a descriptor, owned; GBX_EUNSUPPORTED, or GBX_EHOST where it
 * is not the device's fault: errno says why then.
 */
int device_open(int *fd, struct device_fault *fault);

#endif
