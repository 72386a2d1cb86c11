import { expect, it } from "vitest";
import { auditText } from "./audit";

it("calls settings, modes and contracts what the page calls them, and leaves the rest as it is", () => {
  expect(auditText("daily_loss_limit from 150 to 200, max_contracts from 5 to none")).toBe(
    "Daily loss from 150 to 200, Contracts per trade from 5 to none",
  );
  expect(auditText("broker_mode from PAPER to TRADIER_LIVE")).toBe("Mode from PAPER to LIVE");
  expect(auditText("signal AAPL261218C00230000 of bot scanner approved")).toBe(
    "Signal AAPL 18 Dec 26 230 C of bot scanner approved",
  );
  expect(auditText("API key <script>max_positionsx</script> made")).toBe(
    "API key <script>max_positionsx</script> made",
  );
});
