/* What a decoder does with numbers before and after its graphs, compiled; a part of the module of _hot.c.
 *
 * Python is the specification here too: bci/decoder/intake.py and bci/decoder/quantiser.py. Each operation on a number is
 * rounded as NumPy's is, so the bytes are the same.
 */

#define Py_LIMITED_API 0x030b0000 /* as _hot.c */
#include <Python.h>

#include <stdint.h>
#include <string.h>

/* NaN and the infinities have every bit of the exponent set. */
static uint32_t is_odd(uint32_t bits) { return (bits & 0x7f800000u) == 0x7f800000u; }

/* Copy a window, and tell how many of its values are bad; NO_NUMBER where one is not finite. */
enum { NO_NUMBER = -1 };
static int64_t take_window(const float *samples, const uint8_t *bad, float *restrict to, int64_t n, int64_t flags) {
    int64_t masked = 0;
    for (int64_t i = 0; i < flags; i++) masked += bad[i] != 0;
    uint32_t odd = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, samples + i, sizeof bits);
        odd |= is_odd(bits);
    }
    memcpy(to, samples, (size_t)n * sizeof *to);
    return odd ? NO_NUMBER : masked;
}

/* Quantise n values in steps that are each rounded as NumPy's are; whether all levels were finite. */
static int quantise(const float *restrict values, uint8_t *restrict to, int64_t n, float low, float gain) {
    const float rounding = 12582912.0f; /* 1.5 * 2^23: what is added to it is rounded half to even, into the last bits */
    uint32_t odd = 0;
    for (int64_t i = 0; i < n; i++) {
        float level = (values[i] - low) * gain;
        uint32_t bits;
        memcpy(&bits, &level, sizeof bits);
        odd |= is_odd(bits);
        level = level > 0.0f ? level : 0.0f; /* 0 and 255 are whole: held before or after rounding, all is the same */
        level = (level < 255.0f ? level : 255.0f) + rounding;
        memcpy(&bits, &level, sizeof bits);
        to[i] = (uint8_t)bits;
    }
    return !odd;
}

/* Three planes to pixels of three colours. */
static void interleave(const uint8_t *restrict planes, uint8_t *restrict to, int64_t pixels) {
    const uint8_t *red = planes, *green = planes + pixels, *blue = green + pixels;
    for (int64_t i = 0; i < pixels; i++) {
        to[3 * i] = red[i];
        to[3 * i + 1] = green[i];
        to[3 * i + 2] = blue[i];
    }
}

/* -- what Python calls -------------------------------------------------------------------------------------------- */

/* _hot.c lists them. */
PyObject *hot_take_window(PyObject *module, PyObject *const *args, Py_ssize_t n);
PyObject *hot_picture(PyObject *module, PyObject *const *args, Py_ssize_t n);

/* Borrow the memory of n arrays, the last `written` of them to write; whether they are plain, with nothing borrowed if not. */
static int borrow(PyObject *const *arrays, Py_buffer *views, int n, int written, const char *formats) {
    for (int i = 0; i < n; i++) {
        const int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (i < n - written ? 0 : PyBUF_WRITABLE);
        const int plain = !PyObject_GetBuffer(arrays[i], views + i, flags);
        if (plain && views[i].format && views[i].format[0] == formats[i] && !views[i].format[1]) continue;
        PyErr_Clear();
        for (int k = 0; k < i + plain; k++) PyBuffer_Release(views + k);
        return 0;
    }
    return 1;
}

PyObject *hot_take_window(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    (void)module;
    if (n != 3) {
        PyErr_SetString(PyExc_TypeError, "take_window(samples, bad, to)");
        return NULL;
    }
    Py_buffer views[3];
    if (!borrow(args, views, 3, 1, "f?f")) Py_RETURN_NONE;
    const Py_buffer *samples = views, *bad = views + 1, *to = views + 2;
    int64_t masked = 0;
    const int same = samples->len == to->len;
    if (same) masked = take_window(samples->buf, bad->buf, to->buf, samples->len / samples->itemsize, bad->len);
    for (int k = 0; k < 3; k++) PyBuffer_Release(views + k);
    if (!same) Py_RETURN_NONE;
    return PyLong_FromLongLong(masked);
}

PyObject *hot_picture(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    (void)module;
    if (n != 5) {
        PyErr_SetString(PyExc_TypeError, "picture(image, planes, to, low, gain)");
        return NULL;
    }
    const float low = (float)PyFloat_AsDouble(args[3]), gain = (float)PyFloat_AsDouble(args[4]);
    if (PyErr_Occurred()) return NULL;
    Py_buffer views[3];
    if (!borrow(args, views, 3, 2, "fBB")) Py_RETURN_NONE;
    const int64_t values = views[0].len / views[0].itemsize;
    const Py_ssize_t *from = views[0].shape, *to = views[2].shape; /* (3, height, width) to (height, width, 3) */
    const int same = views[0].ndim == 3 && views[2].ndim == 3 && from[0] == 3 && to[2] == 3 && from[1] == to[0] &&
                     from[2] == to[1] && values == views[1].len;
    int finite = 0;
    if (same) {
        finite = quantise(views[0].buf, views[1].buf, values, low, gain);
        interleave(views[1].buf, views[2].buf, values / 3);
    }
    for (int k = 0; k < 3; k++) PyBuffer_Release(views + k);
    if (!same) Py_RETURN_NONE;
    return PyBool_FromLong(finite);
}
