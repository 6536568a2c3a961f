/* The simulated kernel against the real one: each script of calls runs on both
 * and writes down what it saw, and the two accounts must be equal.  The scripts
 * keep to what is deterministic in the real kernel over loopback. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/sim_script.h"

static const struct {
    const char *name;
    script *run;
} scripts[] = {
#define X(name) {#name, script_##name},
    SIM_SCRIPTS(X)
#undef X
};

enum { SCRIPTS = sizeof scripts / sizeof *scripts };

static void
show_difference(const char *name, const char *real, const char *simulated)
{
    size_t i = 0, line = 0;

    while (real[i] != 0 && real[i] == simulated[i]) {
        if (real[i++] == '\n')
            line = i;
    }
    ck_abort_msg("%s: the kernel says\n%.300s\n...where the world says\n%.300s",
                 name, real + line, simulated + line);
}

START_TEST(same_as_the_kernel)
{
    static struct world real, simulated;
    char dir[] = "/tmp/sonic-XXXXXX";
    sonic_sim_leaks leaks;
    sonic_sim *sim;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(sonic_sim_new(&sim, NULL), 0);
    real = (struct world){.k = sonic_sys_kernel(), .dir = dir};
    simulated = (struct world){.k = sonic_sim_sys(sim), .dir = dir};
    scripts[_i].run(&real);
    scripts[_i].run(&simulated);
    rmdir(dir);
    if (strcmp(real.account, simulated.account) != 0)
        show_difference(scripts[_i].name, real.account, simulated.account);
    ck_assert_uint_gt(real.n, 0);
    ck_assert_int_eq(sonic_sim_free(sim, &leaks), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sim_kernel");
    TCase *tc = tcase_create("scripts");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tc, same_as_the_kernel, 0, SCRIPTS);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
