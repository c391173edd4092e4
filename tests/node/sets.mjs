// SPDX-License-Identifier: Apache-2.0
// What gitlab-ci-local asks of sets, for a node that does not have it yet.
const missing = {
  union(other) { return new Set([...this, ...other]); },
  intersection(other) { return new Set([...this].filter((one) => other.has(one))); },
  difference(other) { return new Set([...this].filter((one) => !other.has(one))); },
};
for (const [name, method] of Object.entries(missing)) Set.prototype[name] ??= method;
