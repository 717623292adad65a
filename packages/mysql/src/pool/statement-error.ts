import { serverErrorNumber } from "./error-origin.ts";

/** Errors whose message has names, or nothing of the statement, in its quotes: https://dev.mysql.com/doc/mysql-errors/8.4/en/ */
const QUOTES_NAMES = new Set([
  ...[1008, 1022, 1040, 1044, 1045, 1046, 1048, 1049, 1050, 1051, 1052, 1053, 1054, 1055, 1060, 1061, 1068, 1072],
  ...[1075, 1091, 1109, 1130, 1136, 1142, 1143, 1146, 1153, 1158, 1159, 1160, 1161, 1169, 1176, 1193, 1203, 1205],
  ...[1206, 1213, 1216, 1217, 1222, 1226, 1227, 1235, 1242, 1264, 1290, 1305, 1317, 1347, 1356, 1364, 1370],
  ...[1396, 1399, 1406, 1419, 1442, 1451, 1452, 1548, 1698, 1792, 1820, 1836, 1862, 1874, 1927, 1969, 3024, 3032],
  ...[3118, 3169, 3572, 3730, 3819, 4025, 4031, 4150, 4151],
]);

/** The message has a value without quotes: no partition is for it. */
const ER_NO_PARTITION_FOR_GIVEN_VALUE = 1526;

/** The SQL state of errors that a trigger or a procedure makes itself (SIGNAL). It may give them any number. */
const SIGNALED = "45000";

/** What follows the value in the message of an error, and is no data. */
const ENDINGS: Readonly<Record<number, string>> = {
  1062: " for key '",
  1265: " for column '",
  1366: " for column '",
  1411: " for function ",
  1586: " for key '",
};

/**
 * Takes the statement and its values out of an error, in place. Class, `code`, `errno` and `sqlState` stay as the driver
 * set them. The server's number decides what stays of its message: nothing here reads a value or the statement, which
 * may have megabytes. The stack leads to the caller from here on, where the driver's own ends in its parser.
 */
export function withoutValues(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const shown = error as Error & { sql?: unknown; sqlMessage?: string; sqlState?: string; code?: string };
  delete shown.sql;
  const number = serverErrorNumber(error);
  if (number !== undefined) {
    if (number === ER_NO_PARTITION_FOR_GIVEN_VALUE) shown.message = "Table has no partition for the value";
    else if (!QUOTES_NAMES.has(number) || shown.sqlState === SIGNALED) {
      shown.message = emptyQuotes(shown.message, shown.sqlState === SIGNALED ? undefined : ENDINGS[number]);
    }
    shown.sqlMessage = shown.message;
  }
  Error.captureStackTrace(shown, withoutValues);
  return shown;
}

/** From the first quote to the end of the value, which may hold quotes itself. The one in "doesn't" opens nothing. */
function emptyQuotes(message: string, ending: string | undefined): string {
  const end = ending === undefined ? -1 : message.lastIndexOf(ending);
  const valueEnds = end === -1 ? message.length : end;
  const start = message.slice(0, valueEnds).search(/(?<!\w)['"]/);
  return start === -1 ? message : `${message.slice(0, start)}'?'${message.slice(valueEnds)}`;
}
