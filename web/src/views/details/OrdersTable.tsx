import type { Trade, TradeOrder } from "../../api/types";
import { price } from "../../format/decimal";
import { orderStatusText, roleText } from "../../format/trade";

/** What an order traded at, or waits at. */
function orderPrice(order: TradeOrder, trade: Trade): string {
  if (order.avg_price !== null && order.filled_qty > 0) return price(order.avg_price);
  if (order.role === "STOP_LOSS") return price(trade.sl_price);
  return order.role === "TAKE_PROFIT" ? price(trade.tp_price) : "";
}

export function OrdersTable({ trade }: { trade: Trade }) {
  if (trade.orders.length === 0) return <p className="muted">No order was sent.</p>;
  return (
    <table className="orders">
      <thead>
        <tr>
          <th>Role</th>
          <th>Status</th>
          <th className="number">Filled</th>
          <th className="number">Price</th>
          <th className="number">Broker id</th>
        </tr>
      </thead>
      <tbody>
        {trade.orders.map((order) => (
          <tr key={`${order.role}-${order.tag}-${order.broker_order_id}`}>
            <td>{roleText(order.role)}</td>
            <td className={order.status === "UNKNOWN" ? "wait" : undefined}>{orderStatusText(order.status)}</td>
            <td className="number">
              {order.filled_qty} of {order.qty}
            </td>
            <td className="number">{orderPrice(order, trade)}</td>
            <td className="number mono">{order.broker_order_id ?? ""}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
