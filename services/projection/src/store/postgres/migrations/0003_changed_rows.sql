-- Rows by the entry that changed them last: whoever derives something from a view reads those that have changed.
CREATE INDEX view_row_position ON view_row (view, position);
