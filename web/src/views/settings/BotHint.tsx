// How a bot is connected: the three commands of docs/bots.md, which a newcomer can copy as they stand.

const COMMANDS = `./bookend up --detach
eval "$(.venv/bin/python examples/key.py)"
.venv/bin/python examples/scanner.py SPY`;

export function BotHint() {
  return (
    <section className="card" aria-label="Connect a bot">
      <h2>Connect a bot</h2>
      <p className="lead">
        A bot publishes signals with a key that may <b>signal</b>: over NATS, or over HTTP. It hears what became of them
        and can touch nothing else; whether they are placed at once or wait for you is your signal mode. To try it in
        Bookend's own folder, with a key made for the demo user:
      </p>
      <pre className="commands">{COMMANDS}</pre>
      <p className="meaning-below">
        A bot of your own takes a key made above. <span className="mono">docs/bots.md</span> tells the rest: the
        signal's fields, its outcomes, and examples in Python and JavaScript.
      </p>
    </section>
  );
}
