// One setting: its name and meaning on the left, its value with the unit on the right, what is wrong with it below.

import { useId } from "react";
import type { Settings } from "../../api/types";
import { edit, unsaved } from "../../state/edits";
import type { ChoiceSetting, NumberSetting, Setting, SwitchSetting } from "../../state/preferences";
import { textOf } from "../../state/preferences";
import { useStore } from "../../state/store";

interface EntryProps<Kind> {
  id: string;
  setting: Kind;
  text: string;
  isWrong: boolean;
  onChange: (text: string) => void;
}

function NumberEntry({ id, setting, text, isWrong, onChange }: EntryProps<NumberSetting>) {
  return (
    <div className="with-unit">
      <input
        id={id}
        value={text}
        inputMode={setting.kind === "count" ? "numeric" : "decimal"}
        autoComplete="off"
        aria-invalid={isWrong || undefined}
        aria-describedby={`${id}-unit ${id}-meaning ${id}-note`}
        onChange={(event) => onChange(event.target.value)}
      />
      <span className="unit" id={`${id}-unit`}>
        {setting.unit}
      </span>
    </div>
  );
}

function ChoiceEntry({ id, setting, text, isWrong, onChange }: EntryProps<ChoiceSetting>) {
  return (
    <div className="field">
      <select
        id={id}
        value={text}
        aria-invalid={isWrong || undefined}
        aria-describedby={`${id}-meaning ${id}-note`}
        onChange={(event) => onChange(event.target.value)}
      >
        {setting.options.map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </div>
  );
}

function SwitchEntry({ id, setting, text, onChange }: EntryProps<SwitchSetting>) {
  const on = text === "true";
  return (
    <button
      id={id}
      type="button"
      className="toggle"
      role="switch"
      aria-checked={on}
      aria-labelledby={`${id}-label`}
      aria-describedby={`${id}-meaning ${id}-note`}
      onClick={() => onChange(String(!on))}
    >
      {on ? setting.on : "No"}
    </button>
  );
}

function Entry(props: EntryProps<Setting>) {
  const { setting } = props;
  if (setting.kind === "choice") return <ChoiceEntry {...props} setting={setting} />;
  if (setting.kind === "switch") return <SwitchEntry {...props} setting={setting} />;
  return <NumberEntry {...props} setting={setting} />;
}

export function SettingField({ setting, settings }: { setting: Setting; settings: Settings }) {
  const id = useId();
  const { edits, problems } = useStore(unsaved);
  const text = edits[setting.name] ?? textOf(settings[setting.name]);
  const problem = problems[setting.name];
  const empty = "empty" in setting && text.trim() === "" ? setting.empty : undefined;
  return (
    <div className={setting.name in edits ? "setting changed" : "setting"} data-setting={setting.name}>
      <div>
        <label htmlFor={id} id={`${id}-label`}>
          {setting.label}
        </label>
        <p className="meaning" id={`${id}-meaning`}>
          {setting.meaning}
        </p>
      </div>
      <div className="entry">
        <Entry
          id={id}
          setting={setting}
          text={text}
          isWrong={problem !== undefined}
          onChange={(next) => edit(settings, setting.name, next)}
        />
        <span id={`${id}-note`} className={problem ? "problem" : "none"} aria-live="polite">
          {problem ?? empty}
        </span>
      </div>
    </div>
  );
}
