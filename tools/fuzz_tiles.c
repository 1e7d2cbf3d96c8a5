/* libFuzzer over every tile function that this processor runs, the streamed ones too; `bash tools/check_memory.sh
 * fuzz-tiles` builds it.
 *
 * The input's bytes choose pass, type, instruction set, length, where each array lies, what out is, the slope's step
 * and the values; where they end, a generator goes on. Each array lies on a page of its own between two that cannot be
 * touched, at either end or some elements from it; the rest of its page must stay as it was. Checked besides:
 *   the inputs are unchanged, but for the one that out is;
 *   the same bits in pieces of other lengths at other places, and from all instruction sets with a fused multiply-add;
 *   every element against the C library's long double, NaN, selection and range as README.md promises, the errors
 *   that src/fastact/simd/README.md states; tanh is odd to the bit.
 * A finding is printed and aborts, so that libFuzzer keeps the input. */
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "passes.h"

enum { LONGEST = 300, FURTHEST = 17, FILL = 0xA5 }; /* the largest block is 64 elements */
enum { F32, F64, TYPES };
enum { A, B, SLOPE, OUT, AGAIN, ARRAYS };

static const size_t sizes[TYPES] = {sizeof(float), sizeof(double)};
static const int digits[TYPES] = {24, 53}, lowest_exponent[TYPES] = {-149, -1074}, top_exponent[TYPES] = {128, 1024};

typedef struct {
    int pass, type, step; /* step: the slope's */
    const fastact_isa *isa;
    ptrdiff_t n;
    const char *what; /* being checked, for the message */
} run;

/* ---------------------------------------------------------------------------------- the input's bytes, then more */

static struct {
    const uint8_t *next, *end;
    uint64_t state;
} source;

static unsigned byte(void)
{
    if (source.next < source.end) {
        source.state = (source.state ^ *source.next) * 0x9E3779B97F4A7C15u;
        return *source.next++;
    }
    source.state = source.state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(source.state >> 56);
}

static unsigned below(unsigned n)
{
    return (byte() | byte() << 8) % n;
}

static uint64_t word(size_t bytes)
{
    uint64_t bits = 0;
    while (bytes--)
        bits = bits << 8 | byte();
    return bits;
}

/* -------------------------------------------------------------------------------------------- elements and arrays */

static unsigned char *page[ARRAYS];
static size_t page_size;

static void make_pages(void)
{
    page_size = (size_t)sysconf(_SC_PAGESIZE);
    for (int k = 0; k < ARRAYS; k++) {
        unsigned char *guarded = mmap(NULL, 3 * page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (guarded == MAP_FAILED || mprotect(guarded + page_size, page_size, PROT_READ | PROT_WRITE))
            abort();
        page[k] = guarded + page_size;
    }
}

/* n elements at the page's start or end, or some elements from it; the whole page is filled. */
static unsigned char *place(int k, size_t bytes, size_t size)
{
    const size_t away = below(FURTHEST) * size;
    memset(page[k], FILL, page_size);
    return byte() % 2 ? page[k] + page_size - bytes - away : page[k] + away;
}

static long double get(int type, const unsigned char *p, ptrdiff_t i)
{
    return type == F32 ? (long double)((const float *)p)[i] : (long double)((const double *)p)[i];
}

static void set(int type, unsigned char *p, ptrdiff_t i, long double value)
{
    if (type == F32)
        ((float *)p)[i] = (float)value;
    else
        ((double *)p)[i] = (double)value;
}

static void fill(int type, unsigned char *p, ptrdiff_t n)
{
    static const long double special[] = {0, 1, 0.5L, 2, INFINITY, NAN, 9, 18.7L, 24, 36, 88.7L, 104, 709.8L, 745.1L};
    const unsigned kind = below(5);
    for (ptrdiff_t i = 0; i < n; i++)
        switch (kind < 4 ? kind : below(4)) {
        case 0: { /* any bits */
            const uint64_t bits = word(sizes[type]);
            const uint32_t low = (uint32_t)bits;
            memcpy(p + i * sizes[type], type == F32 ? (const void *)&low : (const void *)&bits, sizes[type]);
            break;
        }
        case 1: /* to +-64 */
            set(type, p, i, (int16_t)word(2) * 0x1p-9L);
            break;
        case 2: /* to +-1024, every bit of the mantissa */
            set(type, p, i, ldexpl((long double)(int64_t)word(8), -53));
            break;
        case 3: { /* a few places off something special */
            const long double value = special[below(sizeof special / sizeof *special)];
            const long double places = (int8_t)byte() / 8 * ldexpl(1, 1 - digits[type]);
            set(type, p, i, (byte() % 2 ? -1 : 1) * (isfinite(value) ? value + value * places : value));
        }
        }
}

static void call(const run *r, const fastact_isa *isa, unsigned char *const arrays[], unsigned char *out,
                 ptrdiff_t start, ptrdiff_t n)
{
    const fastact_pass_info *info = &fastact_pass_table[r->pass];
    const size_t at = start * sizes[r->type];
    const void *a = arrays[A] + at, *b = info->arrays == 2 ? arrays[B] + at : NULL;
    const void *slope = info->slope ? arrays[SLOPE] + r->step * at : NULL;
    const int apart = out != a && out != b && out != slope;
    const int streamed = apart && (uintptr_t)out % 64 == 0 && r->n % 2; /* half of those that may be */
    if (r->type == F32)
        (streamed ? isa->streamed_f32 : isa->f32)[r->pass](a, b, slope, r->step, (float *)out, n);
    else
        (streamed ? isa->streamed_f64 : isa->f64)[r->pass](a, b, slope, r->step, (double *)out, n);
}

/* ----------------------------------------------------------------------------------------------------- findings */

static _Noreturn void fail(const run *r, const char *format, ...)
{
    va_list values;
    fprintf(stderr, "FINDING: %s %s %s, n = %td, slope_step = %d, %s: ", fastact_pass_table[r->pass].name,
            r->type == F32 ? "float32" : "float64", r->isa->name, r->n, r->step, r->what);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    abort();
}

static void same_bits(const run *r, const unsigned char *got, const unsigned char *want)
{
    const size_t size = sizes[r->type];
    for (ptrdiff_t i = 0; i < r->n; i++)
        if (memcmp(got + i * size, want + i * size, size))
            fail(r, "element %td: got %.17Lg, want %.17Lg", i, get(r->type, got, i), get(r->type, want, i));
}

static void rest_untouched(const run *r, int k, const unsigned char *p, size_t bytes)
{
    for (const unsigned char *q = page[k]; q < page[k] + page_size; q++)
        if (*q != FILL && !(q >= p && q < p + bytes))
            fail(r, "array %d written %td bytes from its start, of %zu", k, q - p, bytes);
}

/* ------------------------------------------------------------------------------------------ what a value must be */

static long double sigmoid_derivative(long double x)
{
    const long double e = expl(-fabsl(x));
    return e / ((1 + e) * (1 + e));
}

static long double product(int type, long double a, long double b)
{
    return type == F32 ? (long double)((float)a * (float)b) : (long double)((double)a * (double)b);
}

static long double exact(const run *r, long double a, long double b, long double s)
{
    switch (r->pass) {
    case FASTACT_sigmoid:
    case FASTACT_exact_sigmoid:
        return (a < 0 ? expl(a) : 1) / (1 + expl(-fabsl(a)));
    case FASTACT_sigmoid_derivative:
    case FASTACT_exact_sigmoid_derivative:
        return sigmoid_derivative(a);
    case FASTACT_sigmoid_backward:
        return a * (b * (1 - b));
    case FASTACT_tanh:
    case FASTACT_exact_tanh:
        return tanhl(a);
    case FASTACT_tanh_derivative:
    case FASTACT_exact_tanh_derivative:
        return 4 * sigmoid_derivative(2 * a);
    case FASTACT_tanh_backward:
        return a * ((1 - b) * (1 + b));
    case FASTACT_leaky_relu:
        if (s != 0)
            return a > 0 ? a : product(r->type, s, a);
        /* fall through */
    case FASTACT_relu:
        return a < 0 ? 0 : a;
    case FASTACT_leaky_relu_derivative:
    case FASTACT_relu_derivative:
        return a > 0 ? 1 : a <= 0 ? s + 0 : a;
    case FASTACT_leaky_relu_backward:
        if (s != 0)
            return b > 0 ? a : product(r->type, s, a);
        /* fall through */
    default: /* relu_backward */
        return b <= 0 ? 0 : a;
    }
}

static long double error_in_ulp(int type, long double y, long double want)
{
    int exponent;
    if (y == want || (isnan(y) && isnan(want)))
        return 0;
    if (isnan(y) || isnan(want) || isinf(want))
        return INFINITY;
    if (isinf(y)) { /* right past the rounding boundary; half an ULP off at it */
        y = copysignl(ldexpl(1, top_exponent[type]), y);
        if (fabsl(want) >= fabsl(y) && signbit(want) == signbit(y))
            return 0;
    }
    frexpl(want, &exponent);
    if (want == 0 || exponent - digits[type] < lowest_exponent[type])
        exponent = lowest_exponent[type] + digits[type];
    if (exponent > top_exponent[type])
        exponent = top_exponent[type];
    return fabsl(y - want) / ldexpl(1, exponent - digits[type]);
}

/* What simd/README.md states, exclusive; 0 for the passes that are exact, or rounded once as in `product`. */
static long double bound(const run *r)
{
    if (r->pass >= FASTACT_exact_sigmoid)
        return 0.5L + 0x1p-30L;
    switch (r->pass) {
    case FASTACT_sigmoid:
    case FASTACT_tanh:
        return strcmp(r->isa->name, "baseline") && strcmp(r->isa->name, "portable") ? 1 : 1.1L;
    case FASTACT_sigmoid_derivative:
    case FASTACT_tanh_derivative:
        return 1.7L;
    case FASTACT_sigmoid_backward:
    case FASTACT_tanh_backward:
        return 1.5L;
    default:
        return 0;
    }
}

static void right_values(const run *r, unsigned char *const arrays[], const unsigned char *out)
{
    const fastact_pass_info *info = &fastact_pass_table[r->pass];
    for (ptrdiff_t i = 0; i < r->n; i++) {
        const long double a = get(r->type, arrays[A], i), b = info->arrays == 2 ? get(r->type, arrays[B], i) : a;
        const long double s = info->slope ? get(r->type, arrays[SLOPE], r->step * i) : 0;
        const long double y = get(r->type, out, i), want = exact(r, a, b, s), limit = bound(r);
        const long double error = error_in_ulp(r->type, y, want);
        if (limit == 0 ? error != 0 || (!isnan(y) && signbit(y) != signbit(want)) : error >= limit)
            fail(r, "element %td, inputs %.17Lg, %.17Lg, %.17Lg: got %.17Lg, exact %.20Lg, %.4Lg ULP", i, a, b, s, y,
                 want, error);
        const long double highest =
            r->pass == FASTACT_sigmoid_derivative || r->pass == FASTACT_exact_sigmoid_derivative ? 0.25L : 1;
        const int is_tanh = r->pass == FASTACT_tanh || r->pass == FASTACT_exact_tanh;
        const int bounded = limit != 0 && info->arrays == 1;
        if (bounded && !isnan(y) && !(y >= (is_tanh ? -1 : 0) && y <= highest))
            fail(r, "element %td, input %.17Lg: %.17Lg is out of range", i, a, y);
    }
}

/* --------------------------------------------------------------------------------------------------- one input */

static int has_fused_multiply_add(const fastact_isa *isa)
{
    return strcmp(isa->name, "baseline") && strcmp(isa->name, "portable");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    static unsigned char saved[SLOPE + 1][LONGEST * sizeof(double)];
    unsigned char *arrays[ARRAYS], *copies[SLOPE + 1] = {saved[A], saved[B], saved[SLOPE]};
    size_t bytes[ARRAYS];
    run r;
    int levels = 0;

    if (!page_size)
        make_pages();
    source.next = data;
    source.end = data + length;
    source.state = length;
    while (fastact_isa_level(levels))
        levels++;
    r.pass = below(FASTACT_N_PASSES);
    r.type = r.pass < FASTACT_exact_sigmoid ? below(TYPES) : F32;
    r.isa = fastact_isa_level(below(levels));
    r.n = below(LONGEST + 1);
    const fastact_pass_info *info = &fastact_pass_table[r.pass];
    r.step = info->slope ? below(2) : 0;
    const size_t size = sizes[r.type];
    for (int k = 0; k < ARRAYS; k++) {
        bytes[k] = (k == SLOPE && !r.step ? 1 : r.n) * size;
        arrays[k] = place(k, bytes[k], size);
        if (k <= SLOPE)
            fill(r.type, arrays[k], bytes[k] / size);
    }
    for (size_t i = 0; i < bytes[SLOPE] / size; i++) { /* what the callers refuse */
        const long double s = get(r.type, arrays[SLOPE], i);
        set(r.type, arrays[SLOPE], i, !isfinite(s) ? 0.25L : r.pass == FASTACT_leaky_relu_backward ? fabsl(s) : s);
    }
    for (int k = 0; k <= SLOPE; k++)
        memcpy(saved[k], arrays[k], bytes[k]);

    int target = below(OUT + 1); /* out is this array */
    if ((target == B && info->arrays == 1) || (target == SLOPE && !r.step))
        target = OUT;
    call(&r, r.isa, arrays, arrays[target], 0, r.n);
    r.what = "guard";
    for (int k = 0; k <= OUT; k++)
        rest_untouched(&r, k, arrays[k], bytes[k]);
    r.what = "inputs";
    for (int k = 0; k <= SLOPE; k++)
        if (k != target && memcmp(arrays[k], saved[k], bytes[k]))
            fail(&r, "array %d changed, out is array %d", k, target);
    r.what = "values";
    right_values(&r, copies, arrays[target]);

    r.what = "in pieces";
    for (ptrdiff_t start = 0, piece; start < r.n; start += piece) {
        piece = 1 + below(80);
        if (piece > r.n - start)
            piece = r.n - start;
        call(&r, r.isa, copies, arrays[AGAIN] + start * size, start, piece);
    }
    same_bits(&r, arrays[AGAIN], arrays[target]);

    r.what = "other instruction set";
    for (int l = 0; l < levels; l++) {
        const fastact_isa *other = fastact_isa_level(l);
        if (other == r.isa || !has_fused_multiply_add(other) || !has_fused_multiply_add(r.isa))
            continue;
        call(&r, other, copies, arrays[AGAIN], 0, r.n);
        same_bits(&r, arrays[AGAIN], arrays[target]);
    }
    rest_untouched(&r, AGAIN, arrays[AGAIN], bytes[AGAIN]);

    r.what = "odd";
    if (r.pass == FASTACT_tanh || r.pass == FASTACT_exact_tanh) {
        for (ptrdiff_t i = 0; i < r.n; i++) /* the sign's bit, of a NaN too */
            saved[A][(i + 1) * size - 1] ^= 0x80;
        call(&r, r.isa, copies, arrays[AGAIN], 0, r.n);
        for (ptrdiff_t i = 0; i < r.n; i++)
            arrays[AGAIN][(i + 1) * size - 1] ^= 0x80;
        same_bits(&r, arrays[AGAIN], arrays[target]);
    }
    return 0;
}
