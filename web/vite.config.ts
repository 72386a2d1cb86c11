import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// In development the page comes from Vite and everything else from a running gateway.
const gateway = "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react()],
  // The gateway's policy allows no inline script and no data: script, so nothing is inlined.
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false }, target: "es2022" },
  server: { proxy: { "/api": gateway } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
