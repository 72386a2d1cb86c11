import { describe, expect, it } from "vitest";
import { answer } from "./client";
import { asProblem, Problem } from "./problem";

describe("a problem's words", () => {
  it("are the server's, as a sentence", () => {
    expect(new Problem(422, { detail: "stop must be below entry 4.20, was 4.50" }).message).toBe(
      "Stop must be below entry 4.20, was 4.50.",
    );
    expect(new Problem(409, { title: "Already done!" }).message).toBe("Already done!");
  });

  it("exist even when the server sent none", () => {
    for (const status of [0, 401, 404, 418, 429, 503]) expect(new Problem(status, {}).message).not.toBe("");
  });
});

describe("retrying", () => {
  it("helps where nothing is known to have happened, with the same key", () => {
    expect(new Problem(0, {}).isRetriable).toBe(true);
    expect(new Problem(503, { code: "upstream_unavailable" }).isRetriable).toBe(true);
    expect(new Problem(409, { code: "idempotency_in_progress" }).isRetriable).toBe(true);
  });

  it("does not help against a refusal", () => {
    expect(new Problem(422, { code: "broker_refused" }).isRetriable).toBe(false);
    expect(new Problem(409, { code: "stale_version" }).isRetriable).toBe(false);
  });
});

describe("an answer", () => {
  it("keeps its status, so that 202 is told from 200", async () => {
    const response = new Response("{}", { status: 202 });
    expect(await answer(Promise.resolve({ data: { id: "t" }, response }))).toEqual({ status: 202, data: { id: "t" } });
  });

  it("that is a refusal is thrown with its code", async () => {
    const response = new Response("{}", { status: 409 });
    const call = answer(Promise.resolve({ error: { code: "contract_in_use", detail: "taken" }, response }));
    await expect(call).rejects.toMatchObject({ status: 409, code: "contract_in_use", message: "Taken." });
  });

  it("that is no problem document still has a code", async () => {
    const response = new Response("<html>", { status: 502 });
    await expect(answer(Promise.resolve({ error: "<html>", response }))).rejects.toMatchObject({ code: "http_502" });
  });

  it("that never came is a problem of its own", async () => {
    const caught = await answer(Promise.reject(new TypeError("failed to fetch"))).catch(asProblem);
    expect(caught).toMatchObject({ status: 0, code: "network" });
  });
});
