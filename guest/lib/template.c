/* SPDX-License-Identifier: Apache-2.0 */
/* template.c - a guest program as a template, where that is a process. */
#include "sandbox/process/init/init.h"

#include "guest.h"

bool gbx_guest_is_template(void)
{
    return zygote_is_this();
}

void gbx_guest_multiply(void)
{
    zygote_serve();
}
