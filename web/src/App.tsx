// Who is there decides what is shown: the login form, or the portfolio.

import { asProblem } from "./api/problem";
import { useMe } from "./state/session";
import { Portfolio } from "./views/frame/Portfolio";
import { Toasts } from "./views/frame/Toasts";
import { Login } from "./views/session/Login";

export function App() {
  const me = useMe();
  if (me.isPending) return <p className="login muted">Opening Bookend…</p>;
  if (me.isError) {
    return (
      <div className="login">
        <div className="empty" role="alert">
          <h2>Bookend does not answer</h2>
          <p>{asProblem(me.error).message} Stops and targets rest at the broker and do not need this page.</p>
          <button type="button" className="button" onClick={() => void me.refetch()}>
            Try again
          </button>
        </div>
      </div>
    );
  }
  return (
    <>
      {me.data ? <Portfolio username={me.data.username} /> : <Login />}
      <Toasts />
    </>
  );
}
