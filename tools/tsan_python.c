/* A Python interpreter for ThreadSanitizer, with an OpenMP of its own; `bash tools/check_memory.sh tsan` builds it.
 *
 * The runtimes of GCC and LLVM are not instrumented, so that ThreadSanitizer does not see where their threads meet and
 * takes every team for a race; archer, which is to tell it, hides a worker's writes (LLVM 14, planted races). These are
 * the functions that clang's code for `prange` calls, over pthreads, which ThreadSanitizer knows. A team is made anew
 * for each loop, and meets nowhere but at its start, its barriers and its end. */
#include <Python.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>

enum { MOST_ARGUMENTS = 16, MOST_THREADS = 64 };

typedef void (*outlined)(int32_t *thread, int32_t *bound, void *, void *, void *, void *, void *, void *, void *,
                         void *, void *, void *, void *, void *, void *, void *, void *, void *);

typedef struct {
    outlined body;
    void *arguments[MOST_ARGUMENTS];
    int32_t size;
    pthread_barrier_t barrier;
} team;

typedef struct {
    team *members;
    int32_t number;
} member;

static _Thread_local member self;
static _Thread_local int32_t wanted = 1;

int omp_get_max_threads(void) { return 2; }
int32_t __kmpc_global_thread_num(void *where) { return (void)where, self.number; }
void __kmpc_push_num_threads(void *where, int32_t thread, int32_t n) { (void)where, (void)thread, wanted = n; }
void __kmpc_for_static_fini(void *where, int32_t thread) { (void)where, (void)thread; }
void __kmpc_barrier(void *where, int32_t thread)
{
    (void)where, (void)thread;
    pthread_barrier_wait(&self.members->barrier);
}

void __kmpc_for_static_init_8(void *where, int32_t thread, int32_t schedule, int32_t *last, int64_t *lower,
                              int64_t *upper, int64_t *stride, int64_t increment, int64_t chunk)
{
    const int64_t n = *upper - *lower + 1, first = *lower;
    (void)where, (void)thread, (void)schedule, (void)increment, (void)chunk;
    *lower = first + n * self.number / self.members->size;
    *upper = first + n * (self.number + 1) / self.members->size - 1;
    *last = self.number == self.members->size - 1;
    *stride = n;
}

static void *run(void *given)
{
    self = *(member *)given;
    void **a = self.members->arguments;
    self.members->body(&self.number, &self.number, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10],
                       a[11], a[12], a[13], a[14], a[15]);
    return NULL;
}

void __kmpc_fork_call(void *where, int32_t n, outlined body, ...)
{
    const member before = self;
    team members = {.body = body, .size = wanted};
    member each[MOST_THREADS];
    pthread_t threads[MOST_THREADS];
    va_list arguments;
    (void)where;
    if (n > MOST_ARGUMENTS || members.size > MOST_THREADS)
        abort();
    va_start(arguments, body);
    for (int32_t i = 0; i < n; i++)
        members.arguments[i] = va_arg(arguments, void *);
    va_end(arguments);
    pthread_barrier_init(&members.barrier, NULL, (unsigned)members.size);
    for (int32_t i = members.size - 1; i >= 0; i--) {
        each[i] = (member){&members, i};
        if (i > 0 && pthread_create(&threads[i], NULL, run, &each[i]))
            abort();
    }
    run(&each[0]);
    for (int32_t i = 1; i < members.size; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&members.barrier);
    self = before;
}

int main(int n, char **arguments) { return Py_BytesMain(n, arguments); }
