// SPDX-License-Identifier: Apache-2.0
// The program's own functions (native.c); the bundle is a function of them.
/* global glovebox_native */
export const native = glovebox_native;
