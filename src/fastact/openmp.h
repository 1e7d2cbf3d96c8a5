/* What the build found of OpenMP, as a string for show_config; how many threads its runtime is held to; whether they can
 * be started; and whether the process was forked. */
#ifndef FASTACT_OPENMP_H
#define FASTACT_OPENMP_H

#define FASTACT_STRING_(x) #x
#define FASTACT_STRING(x) FASTACT_STRING_(x)

#ifndef _OPENMP
#define FASTACT_OPENMP_RUNTIME "none (built without OpenMP)"
#define FASTACT_HAS_OPENMP 0
#define omp_get_max_threads() 1
#elif defined(__clang__)
#define FASTACT_OPENMP_RUNTIME "libomp (OpenMP " FASTACT_STRING(_OPENMP) ")"
#define FASTACT_HAS_OPENMP 1
#elif defined(__GNUC__)
#define FASTACT_OPENMP_RUNTIME "libgomp (OpenMP " FASTACT_STRING(_OPENMP) ")"
#define FASTACT_HAS_OPENMP 1
#else
#define FASTACT_OPENMP_RUNTIME "OpenMP " FASTACT_STRING(_OPENMP)
#define FASTACT_HAS_OPENMP 1
#endif

#include <stddef.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#if defined(_MSC_VER)
#define FASTACT_THREAD_LOCAL __declspec(thread)
#else
#define FASTACT_THREAD_LOCAL _Thread_local
#endif

/* Where the runtime's code lies, of which a process may hold several copies; 0 without OpenMP. */
static size_t fastact_openmp_address(void)
{
#ifdef _OPENMP
    return (size_t)omp_get_max_threads;
#else
    return 0;
#endif
}

/* The team size that `with num_threads(n)` asks for in this Python thread; 0: the process's own setting. */
static FASTACT_THREAD_LOCAL int fastact_thread_local_num_threads = 0;
/* omp_get_max_threads() when that was asked for. */
static FASTACT_THREAD_LOCAL int fastact_thread_local_openmp_num_threads = 0;

/* How many long calls run in this process at the moment. */
#if defined(_MSC_VER) /* whose OpenMP, of 2002, has no "atomic capture" */
long _InterlockedIncrement(long volatile *);
long _InterlockedDecrement(long volatile *);
#pragma intrinsic(_InterlockedIncrement, _InterlockedDecrement)
static long volatile fastact_running = 0;

static int fastact_call_begins(void)
{
    return (int)_InterlockedIncrement(&fastact_running);
}

static void fastact_call_ends(void)
{
    _InterlockedDecrement(&fastact_running);
}
#else
static int fastact_running = 0;

static int fastact_call_begins(void)
{
    int running;
#ifdef _OPENMP
#pragma omp atomic capture
#endif
    running = ++fastact_running;
    return running;
}

static void fastact_call_ends(void)
{
#ifdef _OPENMP
#pragma omp atomic
#endif
    fastact_running--;
}
#endif

/* OpenMP's threads do not survive a fork, and entering a team would wait for them forever. */
static int fastact_forked = 0;

#if defined(_OPENMP) && !defined(_WIN32)
#include <pthread.h>
#include <stdlib.h>

static void fastact_fork_child(void)
{
    fastact_forked = 1;
}

/* By the C library, not by os.register_at_fork, which a fork that another library makes passes over. */
static int fastact_watch_forks(void)
{
    return pthread_atfork(NULL, NULL, fastact_fork_child);
}

/* OpenMP's team of this thread is as large as this; threads that it has need not be tried again. */
static FASTACT_THREAD_LOCAL int fastact_team_size = 1;

static void *fastact_wait_for(void *mutex)
{
    pthread_mutex_lock(mutex);
    pthread_mutex_unlock(mutex);
    return NULL;
}

/* How many threads a team may have: as many as asked for, or one where the system does not start so many, be it for want
 * of memory or for a limit on processes. GNU's OpenMP would end the process there, so others are started in its stead. */
static int fastact_startable(int threads)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_t *started;
    int n = 0, wanted = threads - 1;
    if (threads <= fastact_team_size)
        return fastact_team_size = threads;
    started = malloc((size_t)wanted * sizeof(pthread_t));
    if (started == NULL)
        return 1;
    pthread_mutex_lock(&mutex); /* all are to be there at once */
    while (n < wanted && pthread_create(&started[n], NULL, fastact_wait_for, &mutex) == 0)
        n++;
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < n; i++)
        pthread_join(started[i], NULL);
    free(started);
    return fastact_team_size = n == wanted ? threads : 1;
}
#else
static int fastact_watch_forks(void)
{
    return 0;
}

static int fastact_startable(int threads)
{
    return threads;
}
#endif

#endif
