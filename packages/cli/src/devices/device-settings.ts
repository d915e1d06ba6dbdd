import { DEFAULT_DEVICES, type DeviceSettings } from '@countersign/identity';
import type { BankConfig } from '@countersign/policy';

/** How devices are kept by the configuration; as the identity room has it where that says nothing. */
export function deviceSettings({ authority: { devices } }: BankConfig): DeviceSettings {
  return devices ?? DEFAULT_DEVICES;
}

/** By which name the authority's own SVID is asked for at the listener of webhooks. */
export function webhookHosts({ authority: { devices } }: BankConfig): readonly string[] {
  return devices?.webhooks ? [devices.webhooks.address.host] : [];
}
