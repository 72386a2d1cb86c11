import { expect, it } from "vitest";
import { routeOf } from "./route";

it("keeps view and section in the address, and falls back to the open positions", () => {
  expect(routeOf("#settings/keys")).toEqual({ view: "settings", section: "keys" });
  expect(routeOf("#history")).toEqual({ view: "history", section: "" });
  expect(routeOf("#history/keys")).toEqual({ view: "history", section: "" });
  expect(routeOf("")).toEqual({ view: "open", section: "" });
  expect(routeOf("#<script>")).toEqual({ view: "open", section: "" });
});
