import fc from "fast-check";

// The same cases in every run, so that a fault is noticed always or never; a failure needs no smallest case.
fc.configureGlobal({ seed: 1, endOnFailure: true });
