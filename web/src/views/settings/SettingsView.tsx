// The settings: their parts on the left, the chosen one beside them.

import { asProblem } from "../../api/problem";
import type { Settings } from "../../api/types";
import type { useSettings } from "../../state/session";
import { LoadFailed, RowSkeletons } from "../frame/States";
import { Accounts } from "./Accounts";
import { AuditTrail } from "./AuditTrail";
import { BotHint } from "./BotHint";
import { Keys } from "./Keys";
import { PageSettings } from "./PageSettings";
import { Trading } from "./Trading";

const SECTIONS = [
  ["limits", "Limits and policies"],
  ["accounts", "Accounts"],
  ["keys", "API keys and bots"],
  ["page", "This page"],
  ["audit", "Audit trail"],
] as const;

type Section = (typeof SECTIONS)[number][0];

function Part({ section, settings }: { section: Section; settings: Settings }) {
  if (section === "accounts") return <Accounts settings={settings} />;
  if (section === "keys")
    return (
      <>
        <Keys />
        <BotHint />
      </>
    );
  if (section === "audit") return <AuditTrail />;
  if (section === "page") return <PageSettings settings={settings} />;
  return <Trading settings={settings} />;
}

interface SettingsViewProps {
  section: string;
  settings: ReturnType<typeof useSettings>;
}

export function SettingsView({ section, settings }: SettingsViewProps) {
  const chosen = SECTIONS.find(([name]) => name === section)?.[0] ?? "limits";
  const { data } = settings;
  return (
    <div className="settings">
      <nav className="settings-nav" aria-label="Settings">
        {SECTIONS.map(([name, words]) => (
          <a key={name} href={`#settings/${name}`} aria-current={name === chosen ? "page" : undefined}>
            {words}
          </a>
        ))}
      </nav>
      <div className="settings-body">
        {data && <Part section={chosen} settings={data} />}
        {!data && settings.isError && (
          <LoadFailed
            what="Your settings"
            problem={asProblem(settings.error)}
            onRetry={() => void settings.refetch()}
          />
        )}
        {!data && !settings.isError && <RowSkeletons columns={1} />}
      </div>
    </div>
  );
}
