// Attachments: what waits is counted, what is sent or cut is released.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "call/attachments.h"

static struct blob *blob;
static struct attachments attachments;

static int open_blob(void **state) {
    blob = blob_create(1000, 1000);
    return 0;
}

static int close_blob(void **state) {
    attachments_free(&attachments);
    assert_false(blob_is_shared(blob));
    blob_release(blob);
    return 0;
}

static void add(size_t at, size_t from, size_t size) {
    attachments_add(&attachments, at, blob, bytes_of(blob->data + from, size));
}

static void what_is_sent_is_released(void **state) {
    for (size_t i = 0; i < 10; i++)
        add(10 * i, i, 100);
    assert_int_equal(attachments.size, 1000);
    attachments_sent(&attachments, 60);
    assert_int_equal(attachments.size, 940);
    assert_int_equal(attachments.first, 0);
    assert_ptr_equal(attachments.items[0].bytes.data, blob->data + 60);
    attachments_sent(&attachments, 40);
    assert_int_equal(attachments.first, 1);
    for (size_t i = 1; i < 10; i++)
        attachments_sent(&attachments, 100);
    assert_int_equal(attachments.size, 0);
    assert_int_equal(attachments.count, 0);
    assert_false(blob_is_shared(blob));
}

static void what_is_left_moves_up_with_the_output(void **state) {
    for (size_t i = 0; i < 4; i++)
        add(10 * i, i, 100);
    attachments_sent(&attachments, 100);
    attachments_sent(&attachments, 100);
    attachments_sent(&attachments, 30);
    attachments_move_up(&attachments, 20); // the last byte that was sent stood just before the third
    assert_int_equal(attachments.first, 0);
    assert_int_equal(attachments.count, 2);
    assert_int_equal(attachments.size, 170);
    assert_int_equal(attachments.items[0].at, 0);
    assert_ptr_equal(attachments.items[0].bytes.data, blob->data + 2 + 30);
    assert_int_equal(attachments.items[1].at, 10);
    attachments_sent(&attachments, 70);
    attachments_sent(&attachments, 100);
    assert_int_equal(attachments.count, 0);
}

static void a_cut_keeps_what_stands_before_it(void **state) {
    add(5, 0, 10);
    add(20, 0, 20);
    add(40, 0, 30);
    attachments_cut(&attachments, 20); // what stands at 20 comes before the byte that is cut
    assert_int_equal(attachments.count, 2);
    assert_int_equal(attachments.size, 30);
    attachments_sent(&attachments, 10);
    attachments_cut(&attachments, 0); // nothing of what was sent is touched
    assert_int_equal(attachments.size, 0);
    assert_int_equal(attachments.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_sent_is_released, open_blob, close_blob),
        cmocka_unit_test_setup_teardown(what_is_left_moves_up_with_the_output, open_blob, close_blob),
        cmocka_unit_test_setup_teardown(a_cut_keeps_what_stands_before_it, open_blob, close_blob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
