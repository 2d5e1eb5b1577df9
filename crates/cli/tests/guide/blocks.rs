//! The commands in a guide.
//!
//! A block of commands is fenced as `sh`; behind that may stand `status=N`, with which its last command ends, and
//! `needs=THING,THING`. A comment after it, which no reader sees, has words that it must say (`says: …`) or must not
//! (`not: …`), separated by bars.

/// One block.
#[derive(Debug)]
pub struct Block {
    /// Line of the fence in the guide.
    pub line: usize,
    /// The commands.
    pub commands: String,
    /// With what the last one ends.
    pub status: i32,
    /// What it takes.
    pub needs: Vec<String>,
    /// Words that its output has.
    pub says: Vec<String>,
    /// Words that its output has not.
    pub not: Vec<String>,
}

/// All blocks of a guide, in their order.
pub fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (at, line) in guide.lines().enumerate() {
        if inside {
            inside = line != "```";
            if let (true, Some(block)) = (inside, blocks.last_mut()) {
                block.commands.push_str(line);
                block.commands.push('\n');
            }
        } else if let Some(about) = line.strip_prefix("```sh") {
            inside = true;
            let word = |name: &str| about.split_whitespace().find_map(|word| word.strip_prefix(name));
            let needs = word("needs=").unwrap_or_default();
            blocks.push(Block {
                line: at + 1,
                commands: String::new(),
                status: word("status=").map_or(0, |status| status.parse().expect("a status")),
                needs: needs
                    .split(',')
                    .filter(|need| !need.is_empty())
                    .map(str::to_owned)
                    .collect(),
                says: Vec::new(),
                not: Vec::new(),
            });
        } else if let Some(expected) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            let block = blocks.last_mut().expect("a block before what it says");
            for part in expected.split(" | ") {
                match part.split_once(": ") {
                    Some(("says", words)) => block.says.push(words.to_owned()),
                    Some(("not", words)) => block.not.push(words.to_owned()),
                    _ => panic!("line {}: neither says nor not: {part}", at + 1),
                }
            }
        }
    }
    blocks
}

/// In one line, as a reader sees it.
pub fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
