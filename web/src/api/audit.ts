// Who did what to the account itself.

import { data, http } from "./client";
import type { AuditPage } from "./types";

const PAGE = 50;

export function listAudit(cursor: string | undefined): Promise<AuditPage> {
  return data(http.GET("/api/audit", { params: { query: { limit: PAGE, ...(cursor ? { cursor } : {}) } } }));
}
