// A scanner with npm's NATS client: finds a contract, publishes a signal, waits for the ack, follows what becomes of it.
//
//     npm install --prefix examples && node examples/scanner.mjs IWM
//
// Reads BOOKEND_URL, BOOKEND_NATS, BOOKEND_USER, BOOKEND_BOT and BOOKEND_KEY, as examples/key.py prints them.
import { connect } from "@nats-io/transport-node";
import { randomUUID } from "node:crypto";

const { BOOKEND_URL, BOOKEND_NATS, BOOKEND_USER: user, BOOKEND_BOT: bot, BOOKEND_KEY: key } = process.env;
const ticker = process.argv[2] ?? "IWM";

async function ask(path) {
  const answer = await fetch(BOOKEND_URL + path, { headers: { Authorization: `Bearer ${key}` } });
  if (!answer.ok) throw new Error(`${path}: ${(await answer.json()).detail}`);
  return answer.json();
}

// The call nearest to the price, in the expiry after next. Put your own idea here.
const expiry = (await ask(`/api/market/expirations/${ticker}`)).expirations[2];
const chain = await ask(`/api/market/chain/${ticker}?expiry=${expiry}`);
const away = (option) => Math.abs(option.strike - chain.underlying_price);
const [call] = chain.options.filter((o) => o.option_type === "CALL" && o.bid > 1).sort((a, b) => away(a) - away(b));

const signal = {
  v: 1,
  signal_id: randomUUID(),
  expires_at: new Date(Date.now() + 4 * 60_000).toISOString(),
  ticker,
  option_type: "CALL",
  strike: call.strike,
  expiry,
  qty: 1,
  entry: { type: "market" },
  sl_price: (call.bid * 0.8).toFixed(1),
  tp_price: (call.ask * 1.4).toFixed(1),
  strategy: "example",
};

const bus = await connect({
  servers: BOOKEND_NATS,
  user: `${user}.${bot}`,
  pass: key,
  // A bot hears its own inbox only, so it must be told to use that one.
  inboxPrefix: `_INBOX_${user}_${bot}`,
});

// First listen, then speak.
const outcome = new Promise((resolve) => {
  for (const name of ["signal_accepted", "signal_queued", "signal_rejected"]) {
    bus.subscribe(`evt.${user}.orders.${name}`, {
      callback: (_error, message) => {
        const said = message.json().data ?? {};
        if (said.signal_id !== signal.signal_id) return;
        if (name === "signal_queued") console.log(`waits for approval until ${said.expires_at}: ${BOOKEND_URL}`);
        else resolve([name, said]);
      },
    });
  }
});
await bus.flush();

const ack = (await bus.request(`signals.${user}.${bot}`, JSON.stringify(signal), { timeout: 5000 })).json();
if (ack.error) {
  console.log(`not taken: ${ack.error.description}`);
  process.exit(1);
}
console.log(`published ${signal.signal_id}: ${ticker} ${expiry} ${call.strike} call`);

const late = new Promise((resolve) => setTimeout(resolve, 5 * 60_000, ["late", {}]).unref());
const [name, said] = await Promise.race([outcome, late]);
if (name === "signal_accepted") console.log(`accepted: trade ${said.trade_id}`);
else console.log(name === "late" ? "nothing was heard in time" : `rejected: ${said.code}: ${said.reason}`);
await bus.close();
process.exit(name === "signal_accepted" ? 0 : 1);
