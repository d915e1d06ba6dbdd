import type { Command } from '../command-line/command.ts';
import { customerCommands } from '../customers/commands.ts';
import { deviceCommands } from '../devices/commands.ts';
import { peopleCommands } from '../people/commands.ts';
import { applyCommand } from './apply.ts';
import { authorityCommand } from './authority.ts';
import {
  caActivateCommand,
  caPrepareCommand,
  caRevokeCommand,
  caShowCommand,
  caTaintCommand,
} from './ca.ts';
import {
  cedarAuthorizeCommand,
  cedarCheckCommand,
  cedarExplainCommand,
  cedarFilterCommand,
  cedarVectorsCommand,
  cedarWhoCommand,
} from './cedar.ts';
import { checkCommand } from './check.ts';
import {
  credentialListCommand,
  credentialRegisterCommand,
  credentialWithdrawCommand,
} from './credential.ts';
import { decideCommand } from './decide.ts';
import { demoCommand } from './demo.ts';
import { drillRotationCommand } from './drill.ts';
import { exportOcsfCommand } from './export.ts';
import {
  federationBundleCommand,
  federationListCommand,
  federationRefreshCommand,
  federationShowCommand,
} from './federation.ts';
import { findCommand } from './find.ts';
import {
  identityExplainCommand,
  identityListCommand,
  identityRegisterCommand,
  identityRevokeCommand,
  identityUnregisterCommand,
} from './identity.ts';
import { initCommand } from './init.ts';
import { issuerCommand } from './issuer.ts';
import { joinTokenCommand } from './join-token.ts';
import { ledgerEvidenceCommand } from './ledger-evidence.ts';
import { ledgerEvidencePageCommand } from './ledger-evidence-page.ts';
import { ledgerPublishCommand } from './ledger-publish.ts';
import { ledgerVerifyCommand } from './ledger-verify.ts';
import { loginEndCommand, loginLinksCommand, loginUnlinkCommand } from './login.ts';
import { nodeCommand } from './node.ts';
import { partnerCutCommand, partnerListCommand, partnerRestoreCommand } from './partner.ts';
import { passkeyInviteCommand, passkeyListCommand } from './passkey.ts';
import { gatewayCommand, sidecarCommand, wrapCommand } from './point.ts';
import { recordEraseCommand, recordPseudonymCommand } from './privacy.ts';
import { eventsCommand, shadowReportCommand } from './record.ts';
import {
  recordHoldAddCommand,
  recordHoldLiftCommand,
  recordHoldListCommand,
  recordRetentionCommand,
} from './retention.ts';
import { revokeCommand } from './revoke.ts';
import {
  sessionEndCommand,
  sessionListCommand,
  sessionNarrowCommand,
  sessionWidenCommand,
} from './session.ts';
import { signalsListCommand, signalsSetCommand, signalsVerifyCommand } from './signals.ts';
import { startCommand } from './start.ts';
import { stateMoveCommand } from './state.ts';
import { statusCommand } from './status.ts';
import { witnessCommand, witnessInitCommand } from './witness.ts';

/** Every command, in the order of the help page. */
export const commands: readonly Command[] = [
  initCommand,
  checkCommand,
  decideCommand,
  startCommand,
  authorityCommand,
  issuerCommand,
  gatewayCommand,
  sidecarCommand,
  wrapCommand,
  nodeCommand,
  joinTokenCommand,
  applyCommand,
  statusCommand,
  sessionListCommand,
  sessionNarrowCommand,
  sessionWidenCommand,
  sessionEndCommand,
  revokeCommand,
  credentialRegisterCommand,
  credentialWithdrawCommand,
  credentialListCommand,
  passkeyInviteCommand,
  passkeyListCommand,
  loginLinksCommand,
  loginUnlinkCommand,
  loginEndCommand,
  identityListCommand,
  identityExplainCommand,
  identityRegisterCommand,
  identityUnregisterCommand,
  identityRevokeCommand,
  federationListCommand,
  federationShowCommand,
  federationRefreshCommand,
  federationBundleCommand,
  partnerListCommand,
  partnerCutCommand,
  partnerRestoreCommand,
  stateMoveCommand,
  caShowCommand,
  caPrepareCommand,
  caActivateCommand,
  caTaintCommand,
  caRevokeCommand,
  signalsListCommand,
  signalsSetCommand,
  signalsVerifyCommand,
  ...peopleCommands,
  ...customerCommands,
  ...deviceCommands,
  eventsCommand,
  findCommand,
  recordPseudonymCommand,
  recordEraseCommand,
  shadowReportCommand,
  recordRetentionCommand,
  recordHoldAddCommand,
  recordHoldListCommand,
  recordHoldLiftCommand,
  exportOcsfCommand,
  ledgerVerifyCommand,
  ledgerPublishCommand,
  witnessInitCommand,
  witnessCommand,
  ledgerEvidenceCommand,
  ledgerEvidencePageCommand,
  cedarCheckCommand,
  cedarAuthorizeCommand,
  cedarExplainCommand,
  cedarFilterCommand,
  cedarWhoCommand,
  cedarVectorsCommand,
  drillRotationCommand,
  demoCommand,
];
