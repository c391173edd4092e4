/* SPDX-License-Identifier: Apache-2.0 */
/* Again, until it answers. */

#include "deploy/patient.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/banned.h"

enum { TELLING = 700 };

static bool
has_one(Str text, const char *const *signs)
{
    for (; signs && *signs; signs++)
        if (str_find_str(text, str_of(*signs)) < text.n)
            return true;
    return false;
}

bool
patient_is_away(const Patience *patience, Str said)
{
    return has_one(said, patience->signs) && !has_one(said, patience->wrong);
}

bool
patient_failed(const Patience *patience, const Order *order, const Answer *answer, Error *err)
{
    Str said = answer->said;
    error_set(err, ERROR_FAILED, "`%s` failed with status %d",
              order->stage ? order->stage : order->argv.p[0], answer->status);
    /* Its last lines, which hold the reason as a rule. */
    if (said.n)
        error_detail(
            err, STR_FMT,
            STR_ARG(str_sub(said, said.n - (said.n > TELLING ? TELLING : said.n), said.n)));
    if (has_one(said, patience->wrong)) {
        err->code = ERROR_USAGE;
        return error_hint(err, "%s", patience->wrong_hint);
    }
    if (has_one(said, patience->forbidden))
        return error_hint(err, "%s", patience->forbidden_hint);
    if (!patient_is_away(patience, said))
        return false;
    err->cls = ERROR_CLASS_CONNECTION;
    return error_hint(err, "%s", patience->away_hint);
}

bool
patient_run(
    Deploy *d, const Patience *patience, Order *order, int64_t limit_ms, Answer *ret, Error *err)
{
    int64_t end = clock_ms() + limit_ms;
    bool may_fail = order->may_fail, told = false;
    int tries = 0;
    order->may_fail = true;
    for (;;) {
        Answer answer = {0};
        bool ran = order_run(&d->orders, order, &answer, err);
        bool late = !ran && err->cls == ERROR_CLASS_TIMEOUT;
        if (ran && (answer.status == 0 || !patient_is_away(patience, answer.said))) {
            if (ret)
                *ret = answer;
            return answer.status == 0 || may_fail || patient_failed(patience, order, &answer, err);
        }
        if (!ran && !late)
            return false;
        if (clock_ms() >= end)
            return ran ? patient_failed(patience, order, &answer, err) : false;
        error_clear(err);
        if (!told)
            log_warn("deploy.connection", "%s does not answer: trying again", patience->who);
        told = true;
        if (!deploy_pause(d, &tries, err))
            return false;
    }
}

void
patient_try(Deploy *d, const Patience *patience, Order *order)
{
    Error why = ERROR_INIT;
    Answer answer = {0};
    order->may_fail = true;
    wait_cleanup_begin(d->orders.wait);
    if (!patient_run(d, patience, order, CLEANING_MS, &answer, &why))
        log_warn("deploy.tidy", "not cleaned up: %s", why.message);
    else if (answer.status != 0)
        log_debug("deploy.tidy", "not cleaned up: " STR_FMT, STR_ARG(answer.said));
    wait_cleanup_end(d->orders.wait);
}
