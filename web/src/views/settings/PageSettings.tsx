// What concerns this page alone: sounds and refreshing, saved at once; and what is not there yet, said as that.

import type { Settings } from "../../api/types";
import { play } from "../../sound/sounds";
import { useSettingsChange } from "../../state/session";
import { Toggle } from "../frame/Toggle";

interface RowProps {
  label: string;
  meaning: string;
  on: boolean;
  onChange: (on: boolean) => void;
}

function Row({ label, meaning, on, onChange }: RowProps) {
  return (
    <div className="setting">
      <div>
        <span className="label">{label}</span>
        <p className="meaning">{meaning}</p>
      </div>
      <div className="entry">
        <Toggle label={on ? "On" : "Off"} name={label} on={on} onChange={onChange} />
      </div>
    </div>
  );
}

export function PageSettings({ settings }: { settings: Settings }) {
  const change = useSettingsChange();
  return (
    <>
      <section className="card" aria-label="This page">
        <h2>This page</h2>
        <p className="lead">Saved as soon as you switch, and true on all your devices.</p>
        <Row
          label="Sounds"
          meaning="A sound when a trade ends: one for a gain, one for a loss, one for a close of your own."
          on={settings.sounds}
          onChange={(sounds) => change.mutate({ sounds }, { onSuccess: () => sounds && play("pop") })}
        />
        <Row
          label="Auto-refresh"
          meaning="The page is fed live. This asks again every few seconds while that feed is away."
          on={settings.auto_refresh}
          onChange={(on) => change.mutate({ auto_refresh: on })}
        />
      </section>
      <section className="card" aria-label="Channels">
        <h2>Channels</h2>
        <p className="lead">
          What happens is told on this page, with its sounds, and kept in your notifications. Other channels, such as
          e-mail, phone or chat, and quiet hours for them are not there yet: nothing is sent anywhere else today.
        </p>
      </section>
    </>
  );
}
