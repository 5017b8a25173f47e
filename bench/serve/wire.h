/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - clients that cost next to nothing: sockets and bytes, so that the
 * server is measured.  Each returns false where the other side is gone.
 */
#ifndef BENCH_SERVE_WIRE_H
#define BENCH_SERVE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A connection on loopback, or -1. */
int wire_dial(uint16_t port);
bool wire_write(int fd, const void *data, size_t bytes);
bool wire_read(int fd, void *data, size_t bytes);

/* Make it a WebSocket. */
bool wire_shake(int fd);
/* A binary message of two parts. */
bool wire_send(int fd, const void *head, size_t head_bytes, const void *body,
               size_t bytes);
/* The next one; *bytes: room, and then how long it is. */
bool wire_receive(int fd, void *data, size_t *bytes);

/* Two processes of ours: what comes is sent back.  Return a pid and *port, or
 * -1. */
int wire_echo_tcp(uint16_t *port); /* 8 bytes that say how long it is, first */
int wire_echo_lws(uint16_t *port); /* libwebsockets, and nothing else */
void wire_end(int pid);

#endif
