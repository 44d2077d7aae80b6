// Has SQLite itself read all SQL in src: a folder's schema.sql makes a database, and each statement of the folder's
// other files must be possible there.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import Database from "libsql";

const files = readdirSync("src", { recursive: true }).filter((file) => file.endsWith(".sql"));
let problems = 0;

for (const schema of files.filter((file) => file.endsWith("schema.sql"))) {
  const database = new Database(":memory:");
  const attempt = (name, use) => {
    try {
      use();
    } catch (error) {
      problems += 1;
      console.error(`src/${name}: ${error.message}`);
    }
  };
  attempt(schema, () => database.exec(readFileSync(join("src", schema), "utf8")));
  for (const file of files.filter((other) => other !== schema && dirname(other) === dirname(schema))) {
    const text = readFileSync(join("src", file), "utf8");
    const parts = text.split(/^-- name: (\w+)\n/m).slice(1);
    for (let index = 0; index < parts.length; index += 2) {
      attempt(`${file}, ${parts[index]}`, () => database.prepare(parts[index + 1]));
    }
  }
  database.close();
}
process.exitCode = problems > 0 ? 1 : 0;
