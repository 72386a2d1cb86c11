import { expect, it } from "vitest";
import { EMPTY_TOKEN, refusalWords, tokenProblems } from "./credentials";

it("asks for an account number and a token without blanks before anything is tried", () => {
  expect(Object.keys(tokenProblems(EMPTY_TOKEN))).toEqual(["accountId", "token"]);
  expect(tokenProblems({ ...EMPTY_TOKEN, accountId: " VA1 ", token: " abc " })).toEqual({});
  expect(tokenProblems({ ...EMPTY_TOKEN, accountId: "VA1", token: "a b" }).token).toBeDefined();
});

it("asks about the other environment when the broker refuses a token, unless that was said", () => {
  const refused = "The broker refused the token.";
  expect(refusalWords("TRADIER_SANDBOX", "upstream_auth", refused)).toContain("Is it a LIVE token?");
  expect(refusalWords("TRADIER_LIVE", "upstream_auth", "This is a SANDBOX token.")).toBe("This is a SANDBOX token.");
  expect(refusalWords("PAPER", "upstream_auth", refused)).toBe(refused);
  expect(refusalWords("TRADIER_LIVE", "upstream_unavailable", "No answer.")).toBe("No answer.");
});
