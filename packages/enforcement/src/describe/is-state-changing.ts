import type { Exchange } from '../exchange.ts';
import type { Description, DescriptionRefusal } from './describe.ts';

/** Whether a request may change state; what nobody described may. A WebSocket carries anything. */
export function isStateChanging({
  description,
  exchange,
}: {
  readonly description: Description | DescriptionRefusal;
  readonly exchange: Exchange;
}): boolean {
  return (
    exchange.isUpgrade ||
    description.kind !== 'description' ||
    description.operation.isStateChanging
  );
}
