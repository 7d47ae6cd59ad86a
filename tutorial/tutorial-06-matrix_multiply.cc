// Weft - tutorial 06: multiply matrices on the compute threads
// SPDX-License-Identifier: Apache-2.0
//
// A thread task has a typed input, a typed output and a function from one to the other. Here
// each computes a band of rows. Page: docs/tutorial-06-matrix_multiply.md

#include <chrono>
#include <math.h>
#include <random>
#include <stdio.h>
#include <vector>

#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "args.h"

typedef std::chrono::steady_clock Clock;

// Square, row after row.
struct Matrix {
    size_t size;
    std::vector<double> cells;

    explicit Matrix(size_t n) : size(n), cells(n * n) {}
    const double *row(size_t i) const { return &cells[i * size]; }
    double *row(size_t i) { return &cells[i * size]; }
};

// Rows [first, last) of left x right. The factors are borrowed and only read, so all bands
// share them without a lock.
struct Band {
    const Matrix *left;
    const Matrix *right;
    size_t first;
    size_t last;
};

typedef std::vector<double> Rows;
typedef WFThreadTaskFactory<Band, Rows> BandFactory;
typedef WFThreadTask<Band, Rows> BandTask;

// Everything that callbacks touch lives here, until the engine has ended.
static Matrix *product;
static bool finished;

// Runs on a compute thread. The loops are ordered so that memory is walked row by row.
static void multiply_band(Band *in, Rows *out) {
    size_t n = in->right->size;
    out->assign((in->last - in->first) * n, 0.0);
    for (size_t i = in->first; i < in->last; i++) {
        double *target = &(*out)[(i - in->first) * n];
        for (size_t k = 0; k < n; k++) {
            double factor = in->left->row(i)[k];
            const double *source = in->right->row(k);
            for (size_t j = 0; j < n; j++)
                target[j] += factor * source[j];
        }
    }
}

// Runs on the compute thread that ran the body. Bands do not overlap, so callbacks that run
// at the same time write to different rows.
static void keep_band(BandTask *task) {
    if (task->get_state() != WFT_STATE_SUCCESS)
        return;
    const Rows &rows = *task->get_output();
    std::copy(rows.begin(), rows.end(), product->row(task->get_input()->first));
}

static BandTask *band_task(const Matrix &left, const Matrix &right, size_t first, size_t last) {
    BandTask *task = BandFactory::create_thread_task("matrix", multiply_band, keep_band);
    Band *in = task->get_input();
    in->left = &left;
    in->right = &right;
    in->first = first;
    in->last = last;
    return task;
}

static std::vector<double> times(const Matrix &matrix, const std::vector<double> &vector) {
    std::vector<double> result(matrix.size, 0.0);
    for (size_t i = 0; i < matrix.size; i++) {
        for (size_t j = 0; j < matrix.size; j++)
            result[i] += matrix.row(i)[j] * vector[j];
    }
    return result;
}

// Freivalds' check: (A x B) v must be A (B v). It costs n x n, not n x n x n.
static bool product_is_right(const Matrix &left, const Matrix &right) {
    std::vector<double> ones(left.size, 1.0);
    std::vector<double> got = times(*product, ones);
    std::vector<double> want = times(left, times(right, ones));
    for (size_t i = 0; i < got.size(); i++) {
        if (fabs(got[i] - want[i]) > 1e-6 * (1.0 + fabs(want[i])))
            return false;
    }
    return true;
}

static Matrix *random_matrix(size_t n, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> cell(-1.0, 1.0);
    Matrix *matrix = new Matrix(n);
    for (double &value : matrix->cells)
        value = cell(random);
    return matrix;
}

int main(int argc, char *argv[]) {
    long size = 0;
    long bands = 4;
    if (argc < 2 || argc > 3 || !parse_number(argv[1], 1, 4096, &size) ||
        (argc == 3 && !parse_number(argv[2], 1, 1024, &bands))) {
        fprintf(stderr,
                "usage: %s SIZE [BANDS]\n"
                "Multiplies two random SIZE x SIZE matrices (SIZE at most 4096) in BANDS\n"
                "bands of rows (default 4).\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    size_t n = static_cast<size_t>(size);
    size_t parts = static_cast<size_t>(bands);
    // Never freed on purpose: after Ctrl-C a band may still be at work on them.
    static Matrix *left = random_matrix(n, 1);
    static Matrix *right = random_matrix(n, 2);
    product = new Matrix(n);

    ParallelWork *all = Workflow::create_parallel_work([](const ParallelWork *) {
        finished = true;
        end_wait();
    });
    for (size_t i = 0; i < parts; i++) {
        BandTask *task = band_task(*left, *right, n * i / parts, n * (i + 1) / parts);
        all->add_series(Workflow::create_series_work(task, nullptr));
    }

    Clock::time_point begin = Clock::now();
    all->start();
    ctrl_c_group().wait();
    if (!finished)
        return 130;

    double ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    bool right_result = product_is_right(*left, *right);
    printf("%ld x %ld in %ld bands: %.1f ms, %s\n", size, size, bands, ms,
           right_result ? "product checked" : "WRONG PRODUCT");
    return right_result ? 0 : 1;
}
