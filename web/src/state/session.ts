// Signing in and out, and the settings that shape the page.

import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { whenUnauthenticated } from "../api/client";
import { getSettings, logOut, me, putSettings } from "../api/session";
import type { Settings, SettingsChange } from "../api/types";
import { enableSounds } from "../sound/sounds";
import { discardEdits } from "./edits";
import { forgetPositions } from "./positions";
import { keys, queryClient } from "./queries";
import { createStore } from "./store";
import { toast } from "./toasts";

/** Why the page shows the login form although somebody was signed in. */
export const farewell = createStore<string | null>(null);

export const useMe = () => useQuery({ queryKey: keys.me, queryFn: me, staleTime: Number.POSITIVE_INFINITY });

function forgetEverything(): void {
  // The page is watching this one: setting it shows the login form, which removing it would not.
  queryClient.setQueryData(keys.me, null);
  queryClient.removeQueries({ predicate: (query) => query.queryKey[0] !== keys.me[0] });
  forgetPositions();
  discardEdits();
}

whenUnauthenticated(() => {
  farewell.set("Your session has ended. Log in again.");
  forgetEverything();
});

export async function signOut(): Promise<void> {
  await logOut().catch(() => undefined);
  farewell.set(null);
  forgetEverything();
}

/** The settings, with the sound switch applied. */
export function useSettings() {
  const settings = useQuery({ queryKey: keys.settings, queryFn: getSettings, staleTime: 60_000 });
  const sounds = settings.data?.sounds ?? true;
  useEffect(() => enableSounds(sounds), [sounds]);
  return settings;
}

/** Change a setting: shown at once, taken back with a word when it was refused. */
export function useSettingsChange() {
  return useMutation({
    mutationFn: putSettings,
    onMutate: (change: SettingsChange) => {
      const before = queryClient.getQueryData<Settings>(keys.settings);
      if (before) queryClient.setQueryData<Settings>(keys.settings, { ...before, ...change } as Settings);
      return { before };
    },
    onSuccess: (settings) => queryClient.setQueryData(keys.settings, settings),
    onError: (error, _change, context) => {
      if (context?.before) queryClient.setQueryData(keys.settings, context.before);
      toast(`Not saved. ${error.message}`, "bad");
    },
  });
}
