/* SPDX-License-Identifier: Apache-2.0 */
/* threads.c - threads that share a counter, keep one of their own, and wait for
 * each other. */
#include <pthread.h>
#include <stdio.h>

#define THREADS 8
#define TURNS   10000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;
static unsigned shared;
static _Thread_local unsigned own;

static void *work(void *context)
{
    unsigned *result = context;

    pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < TURNS; i++) {
        pthread_mutex_lock(&lock);
        shared++;
        pthread_mutex_unlock(&lock);
        own++;
    }
    *result = own;
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    unsigned results[THREADS], sum = 0;

    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, &results[i]) != 0)
            return 1;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        sum += results[i];
    }
    printf("%u shared, %u in all\n", shared, sum);
    return 0;
}
