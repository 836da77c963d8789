"""The model that judges the blocks of a page: what class names and short texts say of them, and two passes of trees."""
