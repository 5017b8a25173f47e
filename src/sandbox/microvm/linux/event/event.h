/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.h - files that exist only between the guest's own tasks: pipes, pairs
 * of sockets, counters, timers, and sets of files to wait for.
 *
 * Each is a file (file/file.h) whose last file_put frees it.  Each wakes, with
 * its own struct file as the thing, whenever its poll may have gained
 * something, or its due_ns may be sooner; the two ends of a pipe or pair wake
 * each other.
 *
 * Answers are Linux's: 0 or more, or -errno.  Nothing waits.  A write or send
 * to a stream may do a part only; where Linux would wait to do the rest, the
 * caller goes on behind that part.  What is whole or not at all (up to PIPE_BUF
 * to a pipe, a datagram) must be handed over in one call, with all its pieces.
 *
 * The due_ns of a timer or set is when POLLIN comes, and lies in the past when
 * it is there: ask it only for those who want POLLIN and do not see it.
 *
 * Threads: the machine's.
 * Memory:  the host's: bounded by the limits below and the guest's limit on
 *          open files.  A buffer is allocated at the first byte.
 */
#ifndef SANDBOX_MICROVM_LINUX_EVENT_EVENT_H
#define SANDBOX_MICROVM_LINUX_EVENT_EVENT_H

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "sandbox/files/tree/file.h"
#include "sandbox/microvm/linux/wake.h"

#define EVENT_PIPE_BYTES 65536u
#define EVENT_SOCKET_BYTES                                                     \
    65536u                       /* in one direction; a datagram has 4 more    \
                                  */
#define EVENT_EPOLL_FILES 4096u  /* in one set */
#define EVENT_EPOLL_ALL   65536u /* in all sets of one kernel */
#define EVENT_EPOLL_DEPTH 4u     /* sets in sets */

/* flags: O_NONBLOCK, O_CLOEXEC is the descriptor's and ignored. */
int event_pipe(struct waker *waker, unsigned flags, struct file *ends[2]);

/* type: SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET, | SOCK_NONBLOCK; AF_UNIX. */
int event_socketpair(struct waker *waker, int type, struct file *ends[2]);
/* As sendmsg and recvmsg without addresses or control data. flags: MSG_*. */
int64_t event_send(struct file *socket, const struct iovec *pieces, int count,
                   int flags);
/*
 * *whole: the length of the datagram, of which the answer may be a part;
 * with MSG_TRUNC it is the answer.  *more: MSG_TRUNC where it was cut, or 0.
 * Both may be NULL.
 */
int64_t event_recv(struct file *socket, const struct iovec *pieces, int count,
                   int flags, uint64_t *whole, int *more);
int event_shutdown(struct file *socket, int how);
/* SOL_SOCKET, and what has an int there: SO_TYPE, SO_ERROR, SO_DOMAIN, ... */
int event_get_option(struct file *socket, int level, int name, int *value);
int event_set_option(struct file *socket, int level, int name, int value);
int event_is_socket(const struct file *file); /* 1 or 0 */

/* FIONREAD: what read would give at once; -ENOTTY for other files. */
int64_t event_readable_bytes(struct file *file);

/* flags: EFD_SEMAPHORE, EFD_NONBLOCK. */
int event_counter(struct waker *waker, uint32_t first, unsigned flags,
                  struct file **file);

/* clock: as timerfd_create; flags: TFD_NONBLOCK. */
int event_timer(struct waker *waker, int clock, unsigned flags,
                struct file **file);
/* TFD_TIMER_CANCEL_ON_SET is allowed, and never cancels. old: or NULL. */
int event_timer_set(struct file *timer, unsigned flags,
                    const struct itimerspec *value, struct itimerspec *old);
int event_timer_get(struct file *timer, struct itimerspec *value);

/*
 * A set of files to wait for.  number: the descriptor by which the guest named
 * the file; a set holds (number, file) pairs and no reference: event_forget
 * takes a file out of all sets of a kernel when its last descriptor is closed,
 * and before it is freed.  EPOLLET, EPOLLONESHOT, EPOLLRDHUP; EPOLLEXCLUSIVE
 * and EPOLLWAKEUP change nothing.
 */
struct event_sets; /* all the sets of one kernel */
int event_sets_open(struct event_sets **sets, struct heap *heap);
void event_sets_close(struct event_sets *sets); /* NULL allowed; all are put */
/* Time has passed otherwise than clocks say: all look anew. */
void event_sets_stir(struct event_sets *sets);
int event_epoll(struct event_sets *sets, struct waker *waker,
                struct file **file);
int event_epoll_control(struct file *epoll, int operation, int number,
                        struct file *file, const struct epoll_event *event);
/* Returns how many events are ready, fairly turned; never waits. */
int event_epoll_look(struct file *epoll, struct epoll_event *events, int max);
void event_forget(struct event_sets *sets, const struct file *file);
/*
 * A file has changed (called by the kernel for each wake, within it): sets that
 * hold it look anew and wake, too; edge-triggered members are told anew.
 */
void event_changed(struct event_sets *sets, const void *thing);

#endif
