/* The plain case of two loops of the line, compiled: the receiver's regular hop, and a reader's wait for one. What a
 * decoder does with numbers stands in _hot_decoder.c.
 *
 * Python is the specification. Each function names what it mirrors; for the same calls both leave the same bytes in
 * shared memory and the same numbers in `struct hops`, which the tests compare. Whatever is not the plain case (a gap,
 * a late stamp, silence, a lost sender, the end of a block of the line through the stamps) is handed back to Python,
 * with what has been pulled already. In the plain case there is no lock, no allocation and no call into Python, which
 * is let go of meanwhile. It is to be compiled without contraction of floating-point operations: a fused multiplication
 * rounds once where Python rounds twice.
 */

#define Py_LIMITED_API 0x030b0000 /* one library for Python 3.11 and all that follow */
#include <Python.h>

#include <errno.h>
#include <math.h>
#include <semaphore.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

enum { LAYOUT = 2 }; /* of the records below, and which functions there are; compared when loaded */
enum { CLAIMED = 5, COUNT = 6, CLOSED = 7, VOUCHED = 8, ODD = 9 }; /* words of a ring: bci/memory/segment.py */
enum { NOT_WAITING = -1 };
enum { RETURNED, BEFORE, PULLED, FULL }; /* why `receive` came back: bci/io/lsl/hops.py */

#define LARGEST 1e15 /* bci.signal.pipeline.LARGEST */
#define BEAT_EVERY 0.02 /* bci.memory.program */
#define LOOK_EVERY 1.0 /* bci.io.lsl.source */
#define LONGEST_SLEEP 0.08 /* bci.io.lsl.patience */
#define WORTH 1e-4
#define WAY 5e-4 /* seconds in which a reader takes the core that it was woken on, and cuts its window */

typedef unsigned long (*pull_t)(void *, void *, double *, unsigned long, unsigned long, double, int32_t *);
typedef uint32_t (*available_t)(void *);
typedef double (*now_t)(void);
typedef void (*sleep_until_t)(double);

/* Every member has eight bytes, in the order of `bci.memory.hot.Hops`. */
struct hops {
    /* the ring */
    int64_t *words, *slots;
    sem_t **wakeups;
    int64_t readers, capacity, max_window;
    char *samples;
    double *times, *raw, *arrived;
    int64_t sample_bytes, channels, float_bytes;
    /* liblsl, and the session clock; without one of its own that of the machine */
    pull_t pull;
    available_t available;
    void *inlet;
    now_t now;
    sleep_until_t sleep_until;
    /* where a hop ends */
    int64_t quantum, grid_start, grid_step;
    /* the program's row */
    int64_t *row_samples;
    double *row_data, *row_beat;
    double next_beat;
    /* the line through the stamps of the current block, and which stamps are regular */
    double *block;
    int64_t size, at, got;
    double slope, knot, origin, offset;
    int64_t stepwise;
    double longest, least, newest;
    /* patience */
    int64_t singly;
    double awake, next_look;
    /* the source */
    double period, heard, looked;
    int64_t behind;
    double timeout, lasting;
    /* what came of it */
    int64_t hops, taken, n, room, error;
    double last_now;
};

/* -- time, and order among what two processes see ------------------------------------------------------------- */

/* `LslClock.now`, where that is the machine's monotonic clock. */
static double machine_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)((int64_t)t.tv_sec * 1000000000 + t.tv_nsec) / 1e9;
}

static double now_of(const struct hops *h) { return h->now ? h->now() : machine_now(); }

/* `Clock.sleep_until`; 0 where a signal came: Python has to see it first. */
static int sleep_until(const struct hops *h, double when) {
    if (h->sleep_until) {
        h->sleep_until(when);
        return 1;
    }
    for (double left; (left = when - machine_now()) > 0;) {
        struct timespec t = {(time_t)left, (long)((left - floor(left)) * 1e9)};
        if (nanosleep(&t, NULL) && errno == EINTR) return 0;
    }
    return 1;
}

static int64_t load(const int64_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static void store(int64_t *word, int64_t value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }
static void fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

/* -- the reader: bci.memory.ring.Ring.wait ---------------------------------------------------------------------- */

static struct timespec in_seconds(double timeout) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t whole = (int64_t)floor(timeout), nanoseconds = until.tv_nsec + (int64_t)((timeout - whole) * 1e9);
    until.tv_sec += whole + nanoseconds / 1000000000;
    until.tv_nsec = nanoseconds % 1000000000;
    return until;
}

/* 1 where the count has reached `target`, 0 where it has not, -1 where a signal came, which Python has to see. */
static int wait_for(int64_t *words, int64_t *slot, sem_t *wakeup, int64_t target, const struct timespec *until) {
    int interrupted = 0;
    for (;;) {
        store(slot, target);
        fence();
        if (load(&words[COUNT]) >= target || load(&words[CLOSED])) break;
        if (sem_timedwait(wakeup, until)) {
            interrupted = errno == EINTR;
            break;
        }
        /* The writer that wakes a reader has taken its target away; else the release was for an earlier wait. */
        if (load(&words[COUNT]) >= target) return 1;
    }
    store(slot, NOT_WAITING);
    if (load(&words[COUNT]) >= target) return 1;
    return interrupted ? -1 : 0;
}

/* -- the writer: claim, commit, vouch of bci.memory.ring.Ring ----------------------------------------------------- */

static void claim(struct hops *h, int64_t n) {
    int64_t end = h->words[COUNT] + n;
    if (h->words[CLAIMED] < end) store(&h->words[CLAIMED], end);
    fence();
}

/* Copy rows `from` to `from + n` of every column to `to`. */
static void copy_rows(struct hops *h, int64_t to, int64_t from, int64_t n) {
    size_t stamps = (size_t)n * sizeof(double);
    memcpy(h->samples + to * h->sample_bytes, h->samples + from * h->sample_bytes, (size_t)(n * h->sample_bytes));
    memcpy(h->times + to, h->times + from, stamps);
    memcpy(h->raw + to, h->raw + from, stamps);
    memcpy(h->arrived + to, h->arrived + from, stamps);
}

static int64_t commit(struct hops *h, int64_t at, int64_t n) {
    if (at < h->max_window) {
        int64_t upto = at + n < h->max_window ? at + n : h->max_window;
        copy_rows(h, at + h->capacity, at, upto - at);
    }
    if (at + n > h->capacity) copy_rows(h, 0, h->capacity, at + n - h->capacity);
    fence();
    int64_t count = h->words[COUNT] + n;
    store(&h->words[COUNT], count);
    fence();
    for (int64_t i = 0; i < h->readers; i++) {
        int64_t target = load(&h->slots[i]);
        if (NOT_WAITING < target && target <= count) {
            store(&h->slots[i], NOT_WAITING);
            sem_post(h->wakeups[i]);
        }
    }
    return count;
}

/* `bci.signal.pipeline.all_measured`: no value is beyond LARGEST or not a number. */
static int all_measured(const struct hops *h, int64_t at, int64_t n) {
    const char *from = h->samples + at * h->sample_bytes;
    int64_t values = n * h->channels;
    int32_t odd = 0;
    if (h->float_bytes == 4) {
        const float *value = (const float *)from, largest = (float)LARGEST;
        for (int64_t i = 0; i < values; i++) odd |= !(fabsf(value[i]) <= largest);
    } else if (h->float_bytes == 8) {
        const double *value = (const double *)from;
        for (int64_t i = 0; i < values; i++) odd |= !(fabs(value[i]) <= LARGEST);
    }
    return !odd;
}

static void vouch(struct hops *h, int64_t end, int good) {
    if (!good) {
        store(&h->words[ODD], end);
        fence();
    }
    store(&h->words[VOUCHED], end);
}

/* -- the receiver: bci.io.lsl.source.LslSource.pull_into ------------------------------------------------------- */

/* `LslSource._room`: how many samples to wait for. */
static int64_t room_of(struct hops *h, int64_t count) {
    int64_t n = h->quantum - count % h->quantum, next = INT64_MAX;
    if (h->grid_step) {
        int64_t after = h->grid_start;
        if (count >= h->grid_start) after += ((count - h->grid_start) / h->grid_step + 1) * h->grid_step;
        if (after - count < n) n = after - count;
    }
    for (int64_t i = 0; i < h->readers; i++) {
        int64_t target = load(&h->slots[i]);
        if (target > NOT_WAITING && target < next) next = target;
    }
    if (next != INT64_MAX && next > count && next - count < n) n = next - count;
    if (h->behind) {
        int64_t there = (int64_t)h->available(h->inlet);
        if (there > n) n = there;
    }
    return n < h->max_window ? n : h->max_window;
}

/* `Dejitter.expect` and what `Stamps.expect` adds. */
static void lay(const struct hops *h, double *times, int64_t n) {
    for (int64_t i = 0; i < n; i++) times[i] = (double)(h->at + i) * h->slope + h->knot + h->origin;
    if (h->offset != 0)
        for (int64_t i = 0; i < n; i++) times[i] += h->offset;
}

/* `Stamps.regular`: in order but for small steps back, none twice, and no later than those before them. */
static int regular(const struct hops *h, const double *raw, const double *times, int64_t n) {
    double before = h->newest;
    for (int64_t i = 0; i < n; i++) {
        double step = raw[i] - before;
        if (!(h->least <= step && step != 0)) return 0;
        if (!(h->stepwise ? step <= h->longest : raw[i] <= times[i] + h->longest)) return 0;
        before = raw[i];
    }
    return 1;
}

/* `Stamps.take` and `Dejitter.take`; the end of a block is Python's. */
static void take(struct hops *h, const double *raw, int64_t n) {
    h->newest = raw[n - 1];
    for (int64_t i = 0; i < n; i++) h->block[h->got + i] = raw[i] - h->origin;
    h->got += n;
    h->at += n;
}

/* What `LslSource.pull_into` and `Program.tick` write of a hop into the program's row. */
static void show(struct hops *h, int64_t count, double now) {
    if (!h->row_samples) return;
    *h->row_samples = count;
    *h->row_data = now;
    if (now >= h->next_beat) {
        *h->row_beat = now;
        h->next_beat = now + BEAT_EVERY;
    }
}

/* Leave the core to the reader that was woken: it is often woken on this one, where what Python does behind a hop
 * (a block's fit takes longer than a window) would come first. No longer than the next samples leave time for. */
static void give_way(const struct hops *h, int64_t n) {
    double left = 0.25 * (double)n * h->period;
    struct timespec t = {0, (long)((left < WAY ? left : WAY) * 1e9)};
    if (h->readers) nanosleep(&t, NULL);
}

/* Receive hop after hop while all is plain, for `lasting` seconds after the first or, at once, until it is not. */
static int receive(struct hops *h) {
    double began = now_of(h), now = began;
    for (;;) {
        int64_t count = h->words[COUNT], at = count % h->capacity, room = room_of(h, count);
        if (h->at + room > h->size || (room >= 4 && now >= h->next_look)) return BEFORE;
        claim(h, room);
        double *times = h->times + at, *raw = h->raw + at;
        lay(h, times, room);
        double left = h->heard + (double)room * h->period - h->awake - now;
        if (h->singly && room >= 4 && left > WORTH) {
            if (!sleep_until(h, now + (left < LONGEST_SLEEP ? left : LONGEST_SLEEP))) return BEFORE;
        }
        for (int64_t i = 0; i < room; i++) raw[i] = NAN;
        int32_t error = 0;
        unsigned long values = h->pull(h->inlet, h->samples + at * h->sample_bytes, raw,
                                       (unsigned long)(room * h->channels), (unsigned long)room,
                                       h->timeout - (h->hops ? now - began : 0), &error);
        now = h->last_now = now_of(h);
        int64_t n = (int64_t)values / h->channels;
        h->room = room;
        h->n = n;
        h->error = error;
        if (error || !n || !regular(h, raw, times, n)) return PULLED;
        for (int64_t i = 0; i < n; i++) h->arrived[at + i] = now;
        /* Before the reader is woken, who may run at once in this one's place: Python, which is slower, does it after. */
        vouch(h, count + n, all_measured(h, at, n));
        count = commit(h, at, n);
        take(h, raw, n);
        h->behind = now - h->heard < 0.5 * (double)n * h->period;
        h->heard = now;
        h->hops += 1;
        h->taken += n;
        show(h, count, now);
        int full = h->at == h->size;
        if (full || now - began >= h->lasting || now - h->looked >= LOOK_EVERY) {
            give_way(h, n);
            return full ? FULL : RETURNED;
        }
    }
}

/* -- what Python calls: bci/memory/hot.py, which says what is what ------------------------------------------------ */

static PyObject *py_layout(PyObject *module, PyObject *none) {
    (void)module, (void)none;
    return PyLong_FromLong(LAYOUT * 10000 + (long)sizeof(struct hops));
}

static PyObject *py_hops(PyObject *module, PyObject *address) {
    (void)module;
    struct hops *h = PyLong_AsVoidPtr(address);
    if (PyErr_Occurred()) return NULL;
    int why;
    Py_BEGIN_ALLOW_THREADS
    why = receive(h);
    Py_END_ALLOW_THREADS
    return PyLong_FromLong(why);
}

static PyObject *py_wait(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    (void)module;
    if (n != 5) {
        PyErr_SetString(PyExc_TypeError, "wait(words, slot, semaphore, target, timeout)");
        return NULL;
    }
    int64_t *words = PyLong_AsVoidPtr(args[0]), *slot = PyLong_AsVoidPtr(args[1]);
    sem_t *wakeup = PyLong_AsVoidPtr(args[2]);
    int64_t target = PyLong_AsLongLong(args[3]);
    double timeout = PyFloat_AsDouble(args[4]);
    if (PyErr_Occurred()) return NULL;
    const struct timespec until = in_seconds(timeout);
    int reached;
    do {
        Py_BEGIN_ALLOW_THREADS
        reached = wait_for(words, slot, wakeup, target, &until);
        Py_END_ALLOW_THREADS
        if (reached < 0 && PyErr_CheckSignals()) return NULL;
    } while (reached < 0);
    return PyBool_FromLong(reached);
}

/* _hot_decoder.c */
PyObject *hot_take_window(PyObject *module, PyObject *const *args, Py_ssize_t n);
PyObject *hot_picture(PyObject *module, PyObject *const *args, Py_ssize_t n);

static PyMethodDef methods[] = {
    {"layout", py_layout, METH_NOARGS, "Return the number of the layout of the record."},
    {"hops", py_hops, METH_O, "Receive regular hops on the record at an address; return why it came back."},
    {"wait", (PyCFunction)(void (*)(void))py_wait, METH_FASTCALL, "Wait as `bci.memory.ring.Ring.wait` does."},
    {"take_window", (PyCFunction)(void (*)(void))hot_take_window, METH_FASTCALL, "Copy a window; count what is bad."},
    {"picture", (PyCFunction)(void (*)(void))hot_picture, METH_FASTCALL, "Quantise planes to pixels."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef hot = {PyModuleDef_HEAD_INIT, "_hot", "The hot path, compiled.", 0, methods, slots, 0, 0, 0};

PyMODINIT_FUNC PyInit__hot(void) { return PyModuleDef_Init(&hot); }
